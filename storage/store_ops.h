/* The seam between the store's interface (storage/store.h) and its implementations: a table of
 * functions, each with the meaning and the preconditions of its namesake there. store.c checks
 * what is common (ranges, a live store) and calls through it; an implementation embeds
 * `struct store` as its first member. Only files in storage/ include this, and the
 * simulation's (tests/sim/sim_store.h), which stands before either of them. */
#ifndef STORAGE_STORE_OPS_H
#define STORAGE_STORE_OPS_H

#include "storage/store.h"

enum { STORE_MAGIC = 0x73746f72 }; /* "stor": a closed or foreign pointer is found at the door */

struct store_ops {
    int (*get)(struct store *s, uint8_t table, struct slice key, struct slice *value);
    int (*put)(struct store *s, uint8_t table, struct slice key, struct slice value);
    int (*del)(struct store *s, uint8_t table, struct slice key);
    int (*seek)(struct store *s, uint8_t table, struct slice from, struct store_cursor *c,
                struct slice *key, struct slice *value);
    int (*next)(struct store_cursor *c, struct slice *key, struct slice *value);
    void (*cursor_close)(struct store_cursor *c);
    void (*savepoint)(struct store *s);
    int (*rollback)(struct store *s);
    void (*release)(struct store *s);
    struct hash128 (*digest)(const struct store *s);
    uint64_t (*count)(const struct store *s, uint8_t table);
    uint64_t (*active_bytes)(const struct store *s);
    bool (*is_flushing)(const struct store *s);
    bool (*has_room)(const struct store *s);
    uint64_t (*free_inside)(const struct store *s);
    const struct store_mark *(*mark)(const struct store *s);
    int (*checkpoint)(struct store *s, const struct store_mark *mark);
    int (*flush_run)(struct store *s);
    int (*flush_done)(struct store *s);
    int (*verify)(struct store *s);
    int (*export)(struct store *s, store_sink_cb sink_cb, void *data, uint64_t *index);
    void (*close)(struct store *s);
};

/** The head of every implementation. */
struct store {
    const struct store_ops *ops; /**< static */
    uint32_t magic;              /**< STORE_MAGIC while open */
    bool in_savepoint;           /**< between store_savepoint() and its end */
};

#endif
