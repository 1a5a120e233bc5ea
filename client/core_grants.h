/* Grants and attempts as the library knows them: a table of slots. The core writes them under its
 * shell's lock; hf_grant_valid() and its kin read them from any thread without one, in some
 * nanoseconds: two atomics and a clock. A slot's generation counts its uses and changes only when
 * it is taken again, so that the state of what it last held stays readable for a while.
 *
 * Publication order: a slot is taken with deadline 0, then its generation rises, then a deadline is
 * stored. A reader that finds its own generation before and after reading the deadline therefore
 * has the deadline of its own grant. Nothing here is ever freed before the client is closed. */
#ifndef CLIENT_CORE_GRANTS_H
#define CLIENT_CORE_GRANTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"

enum {
    GRANTS_CHUNK_SLOTS = 64, /* allocated together */
    GRANTS_CHUNKS_MAX = 256, /* four times what a session may hold */
    GRANTS_FREE_MIN = 32,    /* free ones that rest before one is taken again */
};

enum slot_state { SLOT_ENDED = 0, SLOT_ALIVE = 1, SLOT_LOST = 2 };

enum slot_kind { SLOT_GRANT, SLOT_ATTEMPT };

/** What a caller keeps of a grant. */
struct grant_ref {
    uint32_t slot;       /**< index */
    uint32_t generation; /**< of that use of the slot; 0 = none */
};

struct slot {
    _Atomic uint32_t generation;  /**< this use */
    _Atomic uint32_t state;       /**< enum slot_state */
    _Atomic uint64_t deadline_ns; /**< valid before; 0 = not valid */
    _Atomic uint64_t suspect_ns;  /**< not renewed for half the lease from then on */

    /* The core's alone, from here on. */
    struct list link;       /**< in grants.alive or grants.free */
    struct list loss_link;  /**< in core.losses until told */
    struct list asked_link; /**< in core.asked until told */
    struct call *confirm;   /**< a caller that waits for the deadline, or NULL */
    struct call *extending; /**< the EXTEND under way, or NULL */
    char *key;              /**< SLOT_ATTEMPT: the record's; owned; NULL for a grant */
    uint64_t token;         /**< fencing token */
    uint64_t asked_ns;      /**< it is asked back: the grace's local end; 0 = it is not */
    uint64_t owner;         /**< SLOT_GRANT: who acquired it */
    const void *handle;     /**< the shell's: on which handle it was acquired */
    uint64_t since_ns;      /**< when its answer came */
    uint64_t own_ns;        /**< local end of its hold or own lease; 0 = not known yet, ~0 = none */
    uint64_t lease_ms;      /**< SLOT_ATTEMPT: its own lease; 0 = the session's */
    uint64_t extend_ns;     /**< when to renew that; ~0 = never */
    uint32_t index;         /**< its own */
    uint32_t count;         /**< releases that it still needs */
    uint32_t ending;        /**< TXNs under way that release it: not valid until they are over */
    enum slot_kind kind;    /**< grant or attempt */
    bool bound;             /**< ends with the session */
    bool unproven;          /**< it came while no renewal was acknowledged: valid after the next */
    bool told_locally;      /**< lost: by the local deadline */
    int reason;             /**< lost: the server's word, or 0 */
};

struct grants {
    _Atomic(struct slot *) chunks[GRANTS_CHUNKS_MAX]; /**< owned, GRANTS_CHUNK_SLOTS each */
    uint32_t chunk_count;                             /**< of them */
    uint32_t free_count;                              /**< slots in `free` */
    struct list free;                                 /**< longest ended first */
    struct list alive;                                /**< oldest first */
};

struct grant_loss {
    uint64_t token; /**< which */
    bool locally;   /**< by the local deadline, not by a server's word */
    int reason;     /**< enum end_reason; 0 = locally */
};

struct grant_asked {
    uint64_t token;   /**< which */
    uint64_t left_ms; /**< of its grace */
};

/** Make an empty table; allocates nothing. */
void grants_init(struct grants *g);

/** Free all; a zeroed one is accepted. */
void grants_close(struct grants *g);

/** Take a slot: alive, not valid yet. NULL = no memory, or GRANTS_CHUNKS_MAX is reached. */
struct slot *grants_take(struct grants *g);

/** It is over: `state` is what readers see from now on. */
void grants_end(struct grants *g, struct slot *s, enum slot_state state);

/** The slot of a reference that is still alive, or NULL. The core's lock is held. */
struct slot *grants_alive(const struct grants *g, struct grant_ref ref);

/** The living slot that has this token, or NULL. */
struct slot *grants_find(const struct grants *g, uint64_t token);

/** What a caller keeps of it. */
struct grant_ref grants_ref(const struct slot *s);

/** Let readers see a deadline. \param deadline_ns 0 = not valid. */
void grants_publish(struct slot *s, uint64_t deadline_ns, uint64_t suspect_ns);

/** Nanoseconds left of a grant at now_ns; 0 = none, or not valid. Any thread, no lock. */
uint64_t grants_left_ns(const struct grants *g, struct grant_ref ref, uint64_t now_ns);

enum grants_word { GRANTS_HELD = 1, GRANTS_SUSPECT = 2, GRANTS_LOST = 3, GRANTS_ENDED = 4 };

/** Its state at now_ns, as enum hf_grant_state counts. Any thread, no lock. */
enum grants_word grants_state(const struct grants *g, struct grant_ref ref, uint64_t now_ns);

#endif
