/* Servers' links joined by wires in memory: the shell of raft/peers.h, in virtual time. Bytes go
 * over a wire in short, random pieces and in their order; a test cuts wires, silences servers and
 * says what an incarnation may do. Every message that arrives is kept in short form. */
#ifndef TESTS_UNIT_RAFT_PEERS_RIG_H
#define TESTS_UNIT_RAFT_PEERS_RIG_H

#include "base/prng.h"
#include "raft/peers.h"
#include "tests/sim/disk.h"

enum { RIG_NODES = 3, RIG_GOT_MAX = 4096 };

/** A message that arrived. */
struct rig_got {
    uint8_t type;   /**< enum message_type */
    uint64_t peer;  /**< from whom */
    uint64_t value; /**< a ping's nonce, an append's previous index */
    uint32_t count; /**< an append's entries */
};

struct rig;

struct rig_node {
    struct rig *rig;                 /**< back to the whole */
    struct peers *peers;             /**< owned */
    uint64_t id;                     /**< from 1; its address is "n" and this, until moved */
    uint64_t turned_away;            /**< an incarnation that it does not admit */
    int receive_status;              /**< what its receive port says */
    bool deaf;                       /**< connections to it are never made */
    bool silent;                     /**< nothing that is sent to it arrives any more */
    char address[16];                /**< where it is reached */
    unsigned got_count;              /**< of `got` */
    struct rig_got got[RIG_GOT_MAX]; /**< what arrived, in its order */
};

struct rig {
    struct rig_node nodes[RIG_NODES];
    struct list wires;    /**< connections */
    struct prng random;   /**< sizes of the pieces */
    uint64_t now_ms;      /**< virtual time */
    struct sim_disk disk; /**< under `wal` */
    struct wal *wal;      /**< server 1's, with `last` entries of term 1 */
};

/** Three servers that do not know each other, with server 1's log of `entries` durable entries. */
void rig_open(struct rig *rig, unsigned entries);

/** All wires end; everything is freed. */
void rig_close(struct rig *rig);

/** The members as server `id` knows them: those whose bit (1 << id) is set. */
void rig_members(struct rig *rig, uint64_t id, unsigned ids);

/** A server is reached at another address from now on; its members are not told. */
void rig_move(struct rig *rig, uint64_t id, const char *address);

/** All three know each other, and all links are open. */
void rig_join(struct rig *rig);

/** Move what can be moved, until nothing moves. */
void rig_settle(struct rig *rig);

/** Time passes in steps of 10 ms; bytes move meanwhile. */
void rig_sleep(struct rig *rig, uint64_t ms);

/** The connection that `from` dialled to `to` breaks; what is on the way is lost. */
void rig_cut(struct rig *rig, uint64_t from, uint64_t to);

/** Connections that stand or are made, from `from` to `to`. */
unsigned rig_wires(const struct rig *rig, uint64_t from, uint64_t to);

/** Send a ping with that nonce. */
void rig_ping(struct rig *rig, uint64_t from, uint64_t to, uint64_t nonce);

/** Server 1 sends `count` entries behind `previous` to a server; from its disk. */
void rig_append(struct rig *rig, uint64_t to, uint64_t previous, uint32_t count);

/** The links of a server. */
struct peers *rig_peers(struct rig *rig, uint64_t id);

/** The server itself. */
struct rig_node *rig_node(struct rig *rig, uint64_t id);

#endif
