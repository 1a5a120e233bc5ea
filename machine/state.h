/* The machine from inside: its struct, reading and writing rows, tokens and tickets.
 *
 * Memory: two arenas, no allocation per op. `scratch` holds what is decoded; loops over many rows
 * give it back per turn (state_mark, state_reset). `keep` holds what must live to the end of an op
 * or a sweep: names of queues to serve, deadline rows being swept. Both are emptied before each op.
 *
 * The session of the op that is being applied is kept decoded in `session`, and put `aside` when
 * the op ends, for the next one of the same session; one that is served or timed out is held as the
 * `guest`; everybody reaches sessions through machine/sessions.h, which knows that. The meta row is
 * kept decoded and is written when the entry ends, and so are sessions put aside and one principal
 * (machine/principals.h). All else is written through at once. */
#ifndef MACHINE_STATE_H
#define MACHINE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "machine/machine.h"
#include "machine/rows.h"
#include "machine/settings.h"

enum {
    SCRATCH_BYTES = 24 * 1024 * 1024, /* a page of 1,000 holders; touched only when used */
    KEEP_BYTES = 16 * 1024 * 1024,    /* names and deadline rows of the largest sweep */
    GRANTS_A_SERVING_MAX = 1024,      /* the rest by a deadline row that is due at once */
    DELIVERIES_AN_ENTRY_MAX = 1024,   /* of timers, all POLLs of an entry together */
    SWEEP_ROWS_MIN = 1000,            /* rows that a sweep may touch, or twice the entry's ops */
    SESSIONS_ASIDE = 16, /* between the ops of an entry; a leader has few clients busy */
};

/** A queue that may have become servable: a lock's or a record's. */
struct serve_item {
    uint64_t table;    /**< TABLE_LOCKS or TABLE_RECORDS */
    struct slice name; /**< in `keep` */
};

/** A growing array of u64, kept from entry to entry. */
struct u64_list {
    uint64_t *items; /**< owned */
    size_t count;    /**< in use */
    size_t capacity; /**< allocated */
};

/** A session's row between two ops of an entry, not written yet. */
struct session_aside {
    uint64_t session;                             /**< whose; 0 = this place is free */
    struct row_session row;                       /**< its list is `ranges` */
    struct ack_range ranges[ACK_RANGES_KEPT_MAX]; /**< in use: row.ack_ranges.count */
};

/** A prefix under which all events are told. */
struct event_prefix {
    uint8_t size;                  /**< of it; 0 = everything */
    uint8_t bytes[NAME_BYTES_MAX]; /**< its text */
};

struct machine {
    struct store *store;             /**< borrowed */
    const struct machine_sink *sink; /**< borrowed, for the length of an entry; never NULL then */
    struct row_meta meta;            /**< as it is now; written at the entry's end if it changed */
    bool meta_changed;               /**< since it was written */
    struct row_setting settings[SETTING_COUNT];             /**< as their rows are */
    struct event_prefix event_prefixes[EVENT_PREFIXES_MAX]; /**< as their rows are */
    uint32_t event_prefix_count;                            /**< in use */
    uint64_t next_deadline_ms;  /**< at or before the first row of TABLE_DEADLINES */
    struct arena scratch;       /**< see above */
    struct arena keep;          /**< see above */
    struct buffer row;          /**< a row being encoded */
    struct buffer body;         /**< the op's answer */
    struct buffer stored;       /**< what is kept of it for a retry, if it is not the same */
    struct buffer woken;        /**< the answer of a parked request; body may be in use */
    struct buffer woken_stored; /**< as stored, for it */
    uint64_t session_id;        /**< of the op being applied; 0 = none is held here */
    struct row_session session; /**< its row; its list is in `scratch` */
    struct session_aside aside[SESSIONS_ASIDE]; /**< in no order; empty between entries */
    unsigned aside_next;                        /**< whose place is taken next */
    uint64_t guest_id;              /**< another session that is held for a turn; 0 = none */
    struct row_session guest;       /**< its row */
    uint64_t principal_id;          /**< whose row is held; 0 = nobody's */
    struct row_principal principal; /**< its row; written when another is held, or an entry ends */
    bool principal_changed;         /**< since it was read */
    uint8_t principal_text[NAME_BYTES_MAX + ADDRESS_BYTES_MAX]; /**< its name, then its host */
    struct serve_item *serve;        /**< owned; queues to serve when the op or phase ends */
    size_t serve_count;              /**< in use */
    size_t serve_capacity;           /**< allocated */
    uint32_t grants_left;            /**< of this serving */
    uint32_t deliveries_left;        /**< of this entry */
    struct u64_list ending;          /**< tokens of grants that the sweep or a session ends */
    struct u64_list ended_sessions;  /**< of the sweep, in order */
    uint64_t deadlock_unknown_count; /**< searches given up since machine_open(); no state */
};

/** Cluster time of the entry being applied, milliseconds. */
static inline uint64_t state_now(const struct machine *m)
{
    return m->meta.time_ms;
}

/** Milliseconds from now to `at_ms`, 0 if it is past. */
static inline uint64_t state_left(const struct machine *m, uint64_t at_ms)
{
    return at_ms > m->meta.time_ms ? at_ms - m->meta.time_ms : 0;
}

/** Cluster time in `ms` milliseconds, within TIME_MS_MAX. */
uint64_t state_later(const struct machine *m, uint64_t ms);

/** Where scratch stands; state_reset() takes back what was taken since. For loops over rows. */
static inline size_t state_mark(const struct machine *m)
{
    return m->scratch.size;
}
static inline void state_reset(struct machine *m, size_t mark)
{
    arena_rewind(&m->scratch, mark);
}

/** Copy bytes into scratch. \param out Out: borrowed until state_reset(). \retval HF_ENOMEM */
HF_MUST_USE
int state_copy(struct machine *m, struct slice bytes, struct slice *out);

/** Read and decode a row. \param row Out: a struct of `type`; what it borrows is in scratch.
 * \retval HF_ENOTFOUND; \retval HF_ECORRUPT, HF_EVERSION and the store's faults. */
HF_MUST_USE
int state_get(struct machine *m, enum machine_table table, struct slice key,
              const struct codec_type *type, void *row);

/** Decode a row's bytes (as a cursor gave them), copied to scratch first. Errors as state_get(). */
HF_MUST_USE
int state_decode(struct machine *m, const struct codec_type *type, struct slice value, void *row);

/** Encode and write a row. */
HF_MUST_USE
int state_put(struct machine *m, enum machine_table table, struct slice key,
              const struct codec_type *type, const void *row);

/** Remove a row that must be there. \retval HF_ECORRUPT it is not. */
HF_MUST_USE
int state_del(struct machine *m, enum machine_table table, struct slice key);

/** Read a bare u64. \retval HF_ENOTFOUND; faults. */
HF_MUST_USE
int state_get_u64(struct machine *m, enum machine_table table, struct slice key, uint64_t *number);

/** Write a bare u64. */
HF_MUST_USE
int state_put_u64(struct machine *m, enum machine_table table, struct slice key, uint64_t number);

/** Find the first key >= `from` that begins with `prefix` (which `from` does, too).
 * \param key Out: copied to scratch. \param value Out: likewise. \retval HF_ENOTFOUND; faults. */
HF_MUST_USE
int state_first(struct machine *m, enum machine_table table, struct slice prefix, struct slice from,
                struct slice *key, struct slice *value);

/** A walk over the rows whose keys begin with a prefix; rows may be changed meanwhile. Each turn
 * gives back what the one before took from scratch. */
struct walk {
    struct machine *m;          /**< borrowed */
    struct store_cursor cursor; /**< its place */
    struct row_key prefix;      /**< of all its keys */
    size_t mark;                /**< of scratch, before the first turn */
    struct slice key;           /**< of this turn, in scratch */
    struct slice value;         /**< likewise */
};

/** Begin at the first key of the prefix that is >= `from`, NULL = the first.
 * \retval HF_ENOTFOUND there is none, and the walk is closed; faults likewise. */
HF_MUST_USE
int walk_first(struct walk *w, struct machine *m, enum machine_table table,
               const struct row_key *prefix, const struct row_key *from);

/** Go on. \retval HF_ENOTFOUND the end, and the walk is closed; faults likewise. */
HF_MUST_USE
int walk_next(struct walk *w);

/** Leave early; a closed one is accepted. */
void walk_close(struct walk *w);

/** The next fencing token: strictly rising over all names and for ever. */
uint64_t state_issue_token(struct machine *m);

/** A number above all tokens that were ever issued: no client can have it from us. */
static inline bool state_token_is_future(const struct machine *m, uint64_t token)
{
    return token > (m->meta.restore_epoch << 48 | m->meta.token_counter);
}

/** The next ticket of a queue. */
uint64_t state_issue_ticket(struct machine *m);

/** Append to a list. \retval HF_ENOMEM */
HF_MUST_USE
int u64_list_add(struct u64_list *list, uint64_t number);

/** Sort, rising. */
void u64_list_sort(struct u64_list *list);

#endif
