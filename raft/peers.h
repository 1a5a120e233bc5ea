/* The links to the other members, without a socket: bytes and time in, bytes and time-outs out.
 *
 * Every server dials every other one and uses the connection that it dialled for what it says; what
 * the other says comes on the connection that the other dialled. So there is one connection a
 * direction, and messages keep their order (libraft's core needs that). A dialler introduces
 * itself: cluster, who it is, which incarnation, whom it means to reach, where its clients are; the
 * acceptor answers with the same, or with a refusal and a sentence. Only then messages flow, from
 * the dialler to the acceptor.
 *
 *   out   PAUSE -> DIALLING -> HELLO -> OPEN, and back to PAUSE when anything fails
 *   in    accepted -> introduced; a new introduced connection of a peer replaces its older one
 *
 * Frames are raft/peer_frame.h's: bounded before anything is allocated, with a check over all. What
 * breaks a rule closes that connection and changes nothing else. A message to a member without an
 * open link is lost, as any message may be. Entries that are not in memory any more are read from
 * the log on disk; what is said to that member meanwhile waits behind the read. A queue that is
 * full loses what comes next.
 *
 * The seam for TLS is the shell's: it moves bytes between a socket and `out` or peers_input(), and
 * may do so through a cipher; identity then comes from the certificate as well.
 * Source: docs/decisions.md, "Own transport". */
#ifndef RAFT_PEERS_H
#define RAFT_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/slice.h"
#include "raft/configuration.h"
#include "raft/message.h"
#include "raft/peer_frame.h"
#include "raft/vote.h"
#include "raft/wal.h"

enum {
    PEERS_DIAL_MS_MAX = 1000,               /* from dialling to the connection */
    PEERS_HELLO_MS_MAX = 2000,              /* from the connection to the answer, either way */
    PEERS_PARTIAL_MS_MAX = 10000,           /* for the next bytes of a frame that has begun */
    PEERS_RETRY_MS_MIN = 50,                /* first pause after a failure; grows by half */
    PEERS_RETRY_MS_MAX = 1000,              /* up to this; a link open so long is well again */
    PEERS_OUT_BYTES_MAX = 32 * 1024 * 1024, /* waiting for one peer; what is beyond is lost */
    PEERS_IN_MAX = 64,                      /* accepted connections, introduced or not; with more,
                                               the one that is silent longest goes */
};

struct peers;

/** What the links need done. `receive` may call peers_send(); else none may call the links. */
struct peers_ports {
    /** A message from a member, in its order; m->peer and m->address are filled in, everything is
     * borrowed for the call. \retval HF_EBADREQUEST it breaks a rule: the connection is closed.
     * \retval HF_ETOOBUSY it is lost. \retval faults. */
    int (*receive)(void *data, const struct message *m);

    /** May this incarnation speak for that member? \return false: it is another one than the
     * cluster knows, and is refused. */
    bool (*admit)(void *data, uint64_t peer, uint64_t incarnation);

    void *data; /**< handed to both */
};

struct peers_config {
    uint8_t cluster_id[VOTE_CLUSTER_ID_BYTES]; /**< told and compared */
    uint64_t id;                               /**< this server's */
    uint64_t incarnation;                      /**< this server's, of its vote file */
    const char *client_address; /**< "host:port" told to the others, 1 to 255 bytes; copied */
    struct wal *wal;            /**< entries that are not in memory are read from it; borrowed */
    uint64_t seed;              /**< of the pauses' jitter */
    struct peers_ports ports;   /**< copied */
};

enum peer_out_state {
    PEER_OUT_PAUSE,    /**< no connection; dialled again at retry_ms */
    PEER_OUT_DIALLING, /**< the shell connects */
    PEER_OUT_HELLO,    /**< the introduction is on its way */
    PEER_OUT_OPEN,     /**< messages flow */
};

/** The link to one member; owned by the peers. The shell compares `epoch` with the one of its
 * socket: if they differ it closes that socket, and dials `address` under the new epoch if the
 * state is PEER_OUT_DIALLING. */
struct peer_out {
    struct list link;          /**< in peers' `outs` */
    struct list ready;         /**< where the shell finds it */
    uint64_t peer;             /**< the member's id */
    uint64_t epoch;            /**< counts connections */
    enum peer_out_state state; /**< see above */
    struct buffer out;         /**< to be sent; the shell consumes from its front */
    void *shell;               /**< the shell's: its socket */
    uint64_t timeout_ms;       /**< DIALLING, HELLO: given up then; PAUSE: dialled then */
    uint32_t pause_ms;         /**< the next pause */
    bool dropped;              /**< the member is not in the configuration any more: the shell
                                    closes its socket and calls peers_forget_out() */
    char address[CONFIGURATION_ADDRESS_BYTES_MAX + 1]; /**< "host:port" */
};

/** One accepted connection; embedded in the shell's. */
struct peer_in {
    struct list link;  /**< in peers' `ins` */
    struct list ready; /**< where the shell finds it */
    uint64_t peer;     /**< who it is; 0 = not introduced yet */
    uint64_t since_ms; /**< of the connection until its introduction; then of the last bytes */
    struct buffer in;  /**< a frame's first bytes */
    struct buffer out; /**< the answer to the introduction; the shell consumes */
    bool closing;      /**< to be closed once `out` is sent */
    bool broken;       /**< to be closed at once */
};

/** Make the links, without members. \param peers Out: owned, peers_free() it. \retval HF_ENOMEM */
HF_MUST_USE
int peers_new(const struct peers_config *config, struct peers **peers);

/** Free them. No accepted connection may be left (peers_closed()); sockets are the shell's. The log
 * may still have reads of theirs that wait: it is closed before or next, without another job. NULL
 * is accepted. */
void peers_free(struct peers *p);

/** The members are these, this server among them or not. Links to new ones are dialled, those to
 * others are dropped. Names that stay keep their links. \param servers borrowed for the call. */
void peers_set_members(struct peers *p, const struct configuration_server *servers, size_t count,
                       uint64_t now_ms);

/** Say it to m->peer, or lose it. Borrowed for the call; an append whose entries are NULL is read
 * from the log (from previous_index + 1) and sent when it is there. */
void peers_send(struct peers *p, const struct message *m);

/** True if the link to that member is open. */
bool peers_is_open(const struct peers *p, uint64_t peer);

/** True if that member's link to here is open: it was heard to introduce itself. */
bool peers_is_heard(const struct peers *p, uint64_t peer);

/** Where that member's clients are, as it said last; "" = not known. Borrowed until the next call.
 */
const char *peers_client_address(const struct peers *p, uint64_t peer);

/** That member's incarnation, as it said last in either direction; 0 = not known. */
uint64_t peers_incarnation(const struct peers *p, uint64_t peer);

/** Why that member's link is not open, for people: a refusal's sentence, "" if none was given.
 * Borrowed until the next call. */
const char *peers_refusal(const struct peers *p, uint64_t peer);

/** Ask `admit` again about everybody whose links stand, and break those that are not admitted any
 * more: an incarnation may have been recorded since. */
void peers_recheck(struct peers *p, uint64_t now_ms);

/* The shell's side: links out. */

/** The next link with something for the shell to do: dial, close, send. Taken from the list: it
 * comes back when there is more. NULL: none. */
struct peer_out *peers_next_out(struct peers *p);

/** The connection that was dialled under `epoch` stands. */
void peers_connected(struct peers *p, struct peer_out *out, uint64_t epoch, uint64_t now_ms);

/** It could not be made, or broke, or was closed by the other side. */
void peers_disconnected(struct peers *p, struct peer_out *out, uint64_t epoch, uint64_t now_ms);

/** Bytes came on it: the answer to the introduction. */
void peers_answered(struct peers *p, struct peer_out *out, uint64_t epoch, struct slice bytes,
                    uint64_t now_ms);

/** The shell has closed the socket of a link that is `dropped`: the link goes. */
void peers_forget_out(struct peers *p, struct peer_out *out);

/* The shell's side: links in. */

/** A connection was accepted. \param in memory of the shell's; written whole.
 * \return false: too many; the shell closes it, `in` is not kept. */
HF_MUST_USE
bool peers_accepted(struct peers *p, struct peer_in *in, uint64_t now_ms);

/** It is closed: forget it. */
void peers_closed(struct peers *p, struct peer_in *in);

/** Bytes came on it. Nothing more is taken from a broken one. \retval faults only. */
HF_MUST_USE
int peers_input(struct peers *p, struct peer_in *in, struct slice bytes, uint64_t now_ms);

/** The next accepted link with output, or to be closed. As peers_next_out(). */
struct peer_in *peers_next_in(struct peers *p);

/* Time. */

/** Dial and give up what is due. */
void peers_tick(struct peers *p, uint64_t now_ms);

/** When peers_tick() has something to do; UINT64_MAX: never, as things are. */
uint64_t peers_next_wake(const struct peers *p);

/** Numbers for log lines and tests. */
struct peers_counts {
    uint64_t sent;     /**< messages put into a queue */
    uint64_t lost;     /**< messages lost here: no link, or a full queue */
    uint64_t received; /**< messages taken from others */
    uint64_t refused;  /**< connections closed because something broke a rule */
    uint64_t read;     /**< appends read from the log on disk */
};
const struct peers_counts *peers_count(const struct peers *p);

#endif
