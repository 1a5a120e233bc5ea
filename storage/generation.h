/* A generation: the changes between two checkpoints, in memory, in key order. A hash index answers
 * point lookups in one probe; a B+tree keeps the order for cursors and for the flush; rows and
 * values live in a pool. A deletion is a tombstone; a row whose insertion was undone or deleted
 * again is a ghost, through which the layers below shine.
 * Most rows of a busy server live for milliseconds. So a new one is young at first, outside the
 * order: it comes into it when somebody walks its table (generation_order()), or when GEN_YOUNG_MAX
 * younger ones stand behind it. A ghost leaves the order: whoever looks for the first waiter of a
 * busy queue must not wade through those that were served. It stays in the index, to be used again
 * (a lock that is taken and let go over and over), until GEN_GHOSTS_MAX others have died after it:
 * an index of all that lived in a second is too large for the processor's caches.
 * The loop's thread changes it; once it is flushing nobody does, and two threads may read it.
 * Failure modes: memory alone (HF_ENOMEM, nothing changed). */
#ifndef STORAGE_GENERATION_H
#define STORAGE_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/slice.h"
#include "storage/pool.h"
#include "storage/store.h"

enum gen_state {
    GEN_GHOST,     /* as if the row were not here: look below, if it covers something */
    GEN_VALUE,     /* inserted or replaced */
    GEN_TOMBSTONE, /* deleted, and something below is hidden by it */
};

/* A leaf fills a block of 512 bytes, a branch one of 1,024 but for 40. */
enum { GEN_FANOUT = 61 };

enum {
    GEN_GHOSTS_MAX = 1024, /* a power of two */
    GEN_YOUNG_MAX = 1024,  /* of a table: what a checkpoint may have to put in order at once */
};

struct gen_row {
    struct hash128 hash;     /**< row_hash(), while state is GEN_VALUE */
    uint8_t *value;          /**< a pool block; NULL if it never had bytes */
    uint32_t value_bytes;    /**< bytes in use */
    uint32_t value_capacity; /**< bytes of the block */
    uint32_t epoch;          /**< savepoint in which it was changed last */
    uint16_t key_bytes;      /**< bytes of `key`, the table's byte included */
    uint8_t state;           /**< enum gen_state */
    bool covers;             /**< the layers below hold a row under this key */
    bool in_order;           /**< in the B+tree */
    bool is_young;           /**< in its table's list instead; neither: a ghost in no savepoint */
    bool in_wake;            /**< among the generation's recent ghosts, though it may live again */
    bool is_bound;           /**< a branch of the B+tree borrows it, or did */
    struct gen_row *older;   /**< while it is young */
    struct gen_row *younger; /**< likewise */
    uint8_t key[];           /**< table, then key: what LMDB gets, too */
};

/* The young rows of a table. */
struct gen_young {
    struct gen_row *oldest;   /**< NULL = none */
    struct gen_row *youngest; /**< NULL = none */
    uint32_t count;           /**< of them */
};

struct gen_slot {
    uint64_t hash;       /**< of table and key */
    struct gen_row *row; /**< NULL = empty */
};

struct gen_leaf {
    struct gen_leaf *next;            /**< in order; NULL = last */
    struct gen_leaf *prev;            /**< NULL = first */
    uint32_t count;                   /**< rows in use */
    struct gen_row *rows[GEN_FANOUT]; /**< ascending */
};

struct gen_branch {
    uint32_t count;                    /**< children in use */
    struct gen_row *first[GEN_FANOUT]; /**< lower bound of child i; [0] is not looked at */
    void *children[GEN_FANOUT];        /**< branches, or leaves at height 1 */
};

/* What a row was before it was first changed in the savepoint. */
struct gen_undo {
    struct gen_row *row;     /**< the row that changed */
    struct hash128 hash;     /**< the rest: its fields as they were */
    uint8_t *value;          /**< its block, kept untouched */
    uint32_t value_bytes;    /**< bytes in use */
    uint32_t value_capacity; /**< bytes of the block */
    uint8_t state;           /**< enum gen_state */
};

/* A row that became a ghost. */
struct gen_ghost {
    uint64_t hash;       /**< of table and key */
    struct gen_row *row; /**< may have been used again since */
};

struct generation {
    struct pool pool;       /**< rows, values and tree nodes */
    struct gen_slot *slots; /**< owned; open addressing */
    size_t slot_count;      /**< a power of two, or 0 */
    uint64_t row_count;     /**< rows of any state */
    void *root;             /**< a branch, or a leaf at height 0; NULL = empty */
    unsigned height;        /**< branches above a leaf */
    uint64_t version;       /**< moves when positions become invalid; never repeats */
    struct gen_young young[STORE_TABLE_COUNT_MAX]; /**< by table */
    struct gen_undo *undo; /**< owned; changes since the savepoint, oldest first */
    size_t undo_count;     /**< in use */
    size_t undo_capacity;  /**< allocated */
    uint32_t epoch;        /**< current savepoint's number; 0 = none was ever made */
    bool in_savepoint;     /**< remember the old state of what changes */
    struct gen_ghost ghosts[GEN_GHOSTS_MAX]; /**< a ring, the oldest at ghost_first */
    uint32_t ghost_first;                    /**< place in the ring */
    uint32_t ghost_count;                    /**< in use */
};

/** A place in the order, borrowed; valid while the generation's version stays the same. */
struct gen_position {
    const struct gen_leaf *leaf; /**< NULL = the end */
    uint32_t at;                 /**< row in the leaf */
};

/** Forget everything, keep memory for reuse; a zeroed one is accepted. */
void generation_reset(struct generation *g);

/** Free everything; a zeroed one is accepted. */
void generation_close(struct generation *g);

/** The row of (table, key) in whatever state, borrowed until the next change; NULL: none.
 * \param hash  of table and key, the caller's choice, the same for all calls */
struct gen_row *generation_find(const struct generation *g, uint8_t table, struct slice key,
                                uint64_t hash);

/** Set a row to GEN_VALUE. \param row what generation_find() gave, NULL to insert; \param covers
 * for an insertion: the layers below hold the key; \param row_hash of the new row. `value` may be
 * borrowed from this generation. \retval HF_ENOMEM nothing changed. */
HF_MUST_USE
int generation_put(struct generation *g, struct gen_row *row, uint8_t table, struct slice key,
                   uint64_t hash, bool covers, struct slice value, struct hash128 row_hash);

/** Set a row to GEN_TOMBSTONE, or to GEN_GHOST if it covers nothing. Parameters and errors as
 * generation_put(). */
HF_MUST_USE
int generation_del(struct generation *g, struct gen_row *row, uint8_t table, struct slice key,
                   uint64_t hash, bool covers);

/** Begin to remember; not nested. */
void generation_savepoint(struct generation *g);

/** Undo what was done since, and end it. */
void generation_rollback(struct generation *g);

/** Keep what was done since, and end it. */
void generation_release(struct generation *g);

/** Bytes held: rows, values, tree nodes and index. */
uint64_t generation_bytes(const struct generation *g);

/** Bring a table's young rows into the order; all tables' before a flush. Costs nothing where there
 * are none. \retval HF_ENOMEM some stay young. */
HF_MUST_USE
int generation_order(struct generation *g, uint8_t table);
HF_MUST_USE
int generation_order_all(struct generation *g);

/** The first row in the order at (table, key), or only behind it, in any table and state. */
struct gen_position generation_seek(const struct generation *g, uint8_t table, struct slice key,
                                    bool behind);

/** The row at a position; NULL at the end. */
static inline struct gen_row *gen_row_at(struct gen_position p)
{
    return p.leaf == NULL ? NULL : p.leaf->rows[p.at];
}

/** The position behind one that is not the end. */
static inline struct gen_position gen_position_next(struct gen_position p)
{
    if (p.at + 1 < p.leaf->count) return (struct gen_position){p.leaf, p.at + 1};
    return (struct gen_position){p.leaf->next, 0};
}

static inline struct slice gen_row_key(const struct gen_row *row)
{
    return slice_make(row->key + 1, row->key_bytes - 1U);
}
static inline struct slice gen_row_value(const struct gen_row *row)
{
    return slice_make(row->value, row->value_bytes);
}

#endif
