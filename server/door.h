/* The door: bytes of many connections in, requests to the replica; answers back as frames. It
 * owns no socket: the shell feeds what it read and sends what lies in a connection's `out`.
 *
 *   bytes -> frame -> envelope and body decoded and checked -> replica -> reply -> out
 *
 * HELLO comes first; until then a frame has at most 4 KiB and a connection five seconds. Nothing
 * is taken over from a peer's word: lengths, counts and ranges are checked before anything is
 * allocated or proposed. Failure modes, all of one connection and of no other:
 *   - a request that breaks a rule is answered BAD_REQUEST with a sentence; the sixteenth ends
 *     the connection
 *   - one that has too much unanswered is refused new work; what frees or finishes is never
 * refused: it waits in the connection, which is `held`, and is not read, until answers have left
 *   - broken framing, a frame that does not get on for ten seconds, output that nobody reads:
 *     the connection is closed
 * A connection that is `closing` is closed by the shell once its output is sent, a `broken` one
 * at once. */
#ifndef SERVER_DOOR_H
#define SERVER_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/slice.h"
#include "protocol/limits.h"
#include "server/rates.h"
#include "server/replica.h"
#include "server/slab.h"
#include "server/table.h"

enum {
    DOOR_PEER_BYTES = 72,                 /* "[IPv6 address]:port" and its NUL */
    DOOR_COMPLAINTS_MAX = 16,             /* bad requests of one connection */
    DOOR_OUT_BYTES_MAX = 1024 * 1024,     /* of unread answers; one more may lie on top */
    DOOR_OUT_BYTES_BUSY = 512 * 1024,     /* of them: reads are refused from here on */
    DOOR_IN_BYTES_MAX = 64 * 1024 * 1024, /* of cut frames, all connections together */
    DOOR_HELLO_MS_MAX = 5000,             /* from connect to HELLO */
    DOOR_PARTIAL_MS_MAX = 10000,          /* from a frame's first byte to its last */
    DOOR_SESSIONS_MAX = 64,               /* of one connection that are told SUPERSEDED */
};

/** One connection; embedded in the shell's. Fields are the door's unless marked. */
struct door_connection {
    struct table_node node;     /**< in `by_id` */
    struct list link;           /**< in `connections` */
    struct list ready;          /**< in `ready` while output or an end waits for the shell */
    struct list limited;        /**< in `greeting` or `partial`, while time runs against it */
    struct list sessions;       /**< of struct door_session: those it spoke for last */
    struct list held;           /**< in `held` while what frees or finishes waits in `in` */
    uint64_t id;                /**< never used again */
    uint64_t principal;         /**< who it is, since HELLO */
    uint64_t since_ms;          /**< since when it is in `limited` */
    struct buffer in;           /**< a frame's first bytes */
    struct buffer out;          /**< frames to send; the shell takes them */
    size_t unsent_bytes;        /**< the shell's: taken from `out` and not sent yet */
    uint32_t unanswered;        /**< requests, parked ones not counted */
    uint32_t complaints;        /**< BAD_REQUESTs so far */
    uint32_t session_count;     /**< in `sessions` */
    bool greeted;               /**< HELLO was answered */
    bool closing;               /**< to be closed once `out` is sent */
    bool broken;                /**< to be closed at once */
    char peer[DOOR_PEER_BYTES]; /**< its address */
};

/** Requests that were refused since the door was made, by reason. */
struct door_refused {
    uint64_t rate_count;  /**< their principal's rate */
    uint64_t cap_count;   /**< QUOTA */
    uint64_t space_count; /**< NO_SPACE */
    uint64_t load_count;  /**< TOO_BUSY for another reason than a rate */
};

struct door {
    struct replica *replica;     /**< borrowed; set by door_set_replica(); NULL = none */
    const char *software;        /**< "holdfastd 0.1.0", static */
    struct table by_id;          /**< connections */
    struct list connections;     /**< all */
    struct list ready;           /**< those with something for the shell to do */
    struct list greeting;        /**< no HELLO yet, oldest first */
    struct list partial;         /**< in the middle of a frame, oldest first */
    struct list held;            /**< those that are not read for now */
    struct rates rates;          /**< of new work, by principal */
    struct table sessions;       /**< struct door_session by session */
    struct slab session_slab;    /**< their memory */
    struct arena arena;          /**< of the request being decoded */
    struct buffer body;          /**< of an answer made here */
    size_t in_bytes;             /**< in all connections' `in` */
    uint64_t next_id;            /**< of connections, from 1 */
    uint64_t request_count;      /**< frames taken */
    uint64_t complaint_count;    /**< BAD_REQUESTs answered */
    struct door_refused refused; /**< what was not done */
    uint64_t held_count;         /**< how often a connection was held */
};

/** Begin. \param software  told in HELLO and STATUS; static. \retval HF_ENOMEM */
HF_MUST_USE
int door_init(struct door *d, const char *software);

/** How much new work a principal may ask for; see rates_limit(). Before the first connection. */
void door_limit_rate(struct door *d, uint32_t per_second, uint32_t burst);

/** Free all but the connections, which must be gone. A zeroed one is accepted. */
void door_close(struct door *d);

/** The ports to open the replica with; then tell the door of it. */
struct replica_ports door_ports(struct door *d);
void door_set_replica(struct door *d, struct replica *r);

/** A connection was accepted. \param c  memory of the shell's; written whole. \param peer  its
 * address, copied. */
void door_connect(struct door *d, struct door_connection *c, const char *peer,
                  struct replica_now now);

/** It is closed: forget it. Its requests go on, their answers are dropped. */
void door_disconnect(struct door *d, struct door_connection *c);

/** Bytes were read. \param bytes  borrowed for the call. \retval faults only. */
HF_MUST_USE
int door_input(struct door *d, struct door_connection *c, struct slice bytes,
               struct replica_now now);

/** True while what it sends is not taken: it should not be read, and comes to door_next_ready()
 * once it may be again. What is read all the same is kept, up to 2 MiB. */
static inline bool door_is_held(const struct door_connection *c)
{
    return !list_empty(&c->held);
}

/** Close what has been given up by time, go on with what was held. Once a pass.
 * \retval faults only. */
HF_MUST_USE
int door_tick(struct door *d, struct replica_now now);

/** When door_tick() has something to do; UINT64_MAX: never, as things are. */
uint64_t door_next_wake(const struct door *d);

/** The next connection with output, or to be closed; NULL if there is none. Taken from the list:
 * it comes back when there is more. */
struct door_connection *door_next_ready(struct door *d);

/** Tell every connection SHUTDOWN and that it will be closed. */
void door_say_goodbye(struct door *d);

#endif
