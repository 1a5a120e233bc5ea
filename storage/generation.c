/* The generation of storage/generation.h: index, rows and savepoints. (The B+tree is in
 * gen_tree.c.) A savepoint costs nothing but the old heads of the rows that change: the first
 * change of a row inside it writes to a fresh block, so that the old bytes stay as they were. */
#include "storage/generation.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/status.h"
#include "storage/gen_tree.h"

enum { SLOTS_MIN = 1024, SLOTS_KEPT_MAX = 1024 * 1024, UNDO_MIN = 64 };

void generation_reset(struct generation *g)
{
    HF_ASSERT(!g->in_savepoint);
    HF_ASSERT(g->undo_count == 0);
    pool_reset(&g->pool);
    if (g->slot_count > SLOTS_KEPT_MAX) {
        free(g->slots);
        g->slots = NULL;
        g->slot_count = 0;
    }
    if (g->slot_count > 0) memset(g->slots, 0, g->slot_count * sizeof *g->slots);
    g->row_count = 0;
    g->ghost_count = 0;
    memset(g->young, 0, sizeof g->young);
    g->root = NULL;
    g->height = 0;
    g->epoch = 0;
    g->version += 1;
}

void generation_close(struct generation *g)
{
    pool_close(&g->pool);
    free(g->slots);
    free(g->undo);
    *g = (struct generation){0};
}

static bool is_key_of(const struct gen_row *row, uint8_t table, struct slice key)
{
    return row->key_bytes == key.size + 1 && row->key[0] == table &&
           memcmp(row->key + 1, key.data, key.size) == 0;
}

struct gen_row *generation_find(const struct generation *g, uint8_t table, struct slice key,
                                uint64_t hash)
{
    HF_ASSERT(key.size >= 1);
    HF_ASSERT(g->slot_count == 0 || g->row_count < g->slot_count);
    if (g->row_count == 0) return NULL;
    size_t mask = g->slot_count - 1;
    for (size_t i = hash & mask; g->slots[i].row != NULL; i = (i + 1) & mask) {
        if (g->slots[i].hash == hash && is_key_of(g->slots[i].row, table, key)) {
            return g->slots[i].row;
        }
    }
    return NULL;
}

static void slot_insert(struct gen_slot *slots, size_t slot_count, uint64_t hash,
                        struct gen_row *row)
{
    size_t mask = slot_count - 1;
    size_t i = hash & mask;
    while (slots[i].row != NULL) i = (i + 1) & mask;
    slots[i] = (struct gen_slot){.hash = hash, .row = row};
}

/* Make sure that one more row keeps the index at most two thirds full. */
static int reserve_slot(struct generation *g)
{
    if ((g->row_count + 1) * 3 <= g->slot_count * 2) return HF_OK;
    size_t count = g->slot_count == 0 ? SLOTS_MIN : g->slot_count * 2;
    struct gen_slot *slots = calloc(count, sizeof *slots);
    if (slots == NULL) return HF_ENOMEM;
    for (size_t i = 0; i < g->slot_count; i++) {
        if (g->slots[i].row != NULL) slot_insert(slots, count, g->slots[i].hash, g->slots[i].row);
    }
    free(g->slots);
    g->slots = slots;
    g->slot_count = count;
    HF_ASSERT((count & (count - 1)) == 0);
    return HF_OK;
}

static int reserve_undo(struct generation *g)
{
    HF_ASSERT(g->undo_count <= g->undo_capacity);
    if (g->undo_count < g->undo_capacity) return HF_OK;
    size_t capacity = g->undo_capacity == 0 ? UNDO_MIN : g->undo_capacity * 2;
    struct gen_undo *undo = realloc(g->undo, capacity * sizeof *undo);
    if (undo == NULL) return HF_ENOMEM;
    g->undo = undo;
    g->undo_capacity = capacity;
    return HF_OK;
}

static void leave_young(struct generation *g, struct gen_row *row)
{
    HF_ASSERT(row->is_young && !row->in_order);
    struct gen_young *young = &g->young[row->key[0]];
    *(row->older != NULL ? &row->older->younger : &young->oldest) = row->younger;
    *(row->younger != NULL ? &row->younger->older : &young->youngest) = row->older;
    young->count -= 1;
    row->is_young = false;
}

/* Its table's oldest young row comes into the order. */
static int order_oldest(struct generation *g, struct gen_young *young)
{
    struct gen_row *row = young->oldest;
    g->version += 1; /* even a failed insertion may split nodes */
    int rv = gen_tree_insert(g, row);
    if (rv != HF_OK) return rv;
    leave_young(g, row);
    row->in_order = true;
    return HF_OK;
}

int generation_order(struct generation *g, uint8_t table)
{
    struct gen_young *young = &g->young[table];
    int rv = HF_OK;
    while (rv == HF_OK && young->count > 0) rv = order_oldest(g, young);
    return rv;
}

int generation_order_all(struct generation *g)
{
    int rv = HF_OK;
    for (uint8_t table = 0; rv == HF_OK && table < STORE_TABLE_COUNT_MAX; table++) {
        rv = generation_order(g, table);
    }
    return rv;
}

/* A ghost is about to be used: it becomes its table's youngest. */
static int become_young(struct generation *g, struct gen_row *row)
{
    HF_ASSERT(row->state == GEN_GHOST);
    struct gen_young *young = &g->young[row->key[0]];
    if (young->count == GEN_YOUNG_MAX) {
        int rv = order_oldest(g, young);
        if (rv != HF_OK) return rv;
    }
    row->older = young->youngest;
    row->younger = NULL;
    *(young->youngest != NULL ? &young->youngest->younger : &young->oldest) = row;
    young->youngest = row;
    young->count += 1;
    row->is_young = true;
    return HF_OK;
}

/* Take a row out of the index; those behind it that it had pushed on move up (Knuth, "The Art of
 * Computer Programming", volume 3, algorithm 6.4R). */
static void slot_remove(struct generation *g, uint64_t hash, const struct gen_row *row)
{
    size_t mask = g->slot_count - 1;
    size_t hole = hash & mask;
    while (g->slots[hole].row != row) {
        HF_ASSERT(g->slots[hole].row != NULL);
        hole = (hole + 1) & mask;
    }
    for (size_t i = (hole + 1) & mask; g->slots[i].row != NULL; i = (i + 1) & mask) {
        size_t from_home = (i - g->slots[i].hash) & mask;
        if (from_home < ((i - hole) & mask)) continue; /* its home is behind the hole */
        g->slots[hole] = g->slots[i];
        hole = i;
    }
    g->slots[hole] = (struct gen_slot){0};
    g->row_count -= 1;
}

/* Forget the oldest of the recent ghosts, if nobody has used it again. */
static void forget_ghost(struct generation *g)
{
    HF_ASSERT(g->ghost_count > 0);
    struct gen_ghost ghost = g->ghosts[g->ghost_first];
    g->ghost_first = (g->ghost_first + 1) & (GEN_GHOSTS_MAX - 1);
    g->ghost_count -= 1;
    ghost.row->in_wake = false;
    if (ghost.row->state != GEN_GHOST || ghost.row->is_bound) return;
    HF_ASSERT(!ghost.row->in_order && !ghost.row->is_young);
    slot_remove(g, ghost.hash, ghost.row);
    pool_give(&g->pool, ghost.row, sizeof(struct gen_row) + ghost.row->key_bytes);
}

/* A row has become a ghost: it may be forgotten when it is the oldest of them. Those of a savepoint
 * are not noted: they stay until the reset. */
static void note_ghost(struct generation *g, uint64_t hash, struct gen_row *row)
{
    if (row->in_wake || g->in_savepoint) return;
    if (g->ghost_count == GEN_GHOSTS_MAX) forget_ghost(g);
    uint32_t place = (g->ghost_first + g->ghost_count) & (GEN_GHOSTS_MAX - 1);
    g->ghosts[place] = (struct gen_ghost){.hash = hash, .row = row};
    g->ghost_count += 1;
    row->in_wake = true;
}

/* A row that may have become a ghost leaves the order, unless a rollback could revive it. */
static void unlink_ghost(struct generation *g, struct gen_row *row)
{
    if (row->state != GEN_GHOST || g->in_savepoint) return;
    HF_ASSERT(row->value == NULL);
    if (row->is_young) leave_young(g, row);
    if (!row->in_order) return;
    gen_tree_remove(g, row);
    g->version += 1;
    row->in_order = false;
}

/* Make a ghost in the index: a row that changes nothing until it is set. */
static int insert(struct generation *g, uint8_t table, struct slice key, uint64_t hash, bool covers,
                  struct gen_row **out)
{
    HF_ASSERT(key.size >= 1 && key.size <= STORE_KEY_BYTES_MAX);
    HF_ASSERT(table < STORE_TABLE_COUNT_MAX);
    int rv = reserve_slot(g);
    if (rv != HF_OK) return rv;
    size_t row_bytes = sizeof(struct gen_row) + 1 + key.size;
    struct gen_row *row = pool_take(&g->pool, row_bytes);
    if (row == NULL) return HF_ENOMEM;
    *row = (struct gen_row){
        .key_bytes = (uint16_t)(key.size + 1), .state = GEN_GHOST, .covers = covers};
    row->key[0] = table;
    memcpy(row->key + 1, key.data, key.size);
    slot_insert(g->slots, g->slot_count, hash, row);
    g->row_count += 1;
    *out = row;
    return HF_OK;
}

/* True if the row's old state must be kept before it changes. */
static bool must_remember(const struct generation *g, const struct gen_row *row)
{
    return g->in_savepoint && row->epoch != g->epoch;
}

/* Keep it; room was reserved. From here the row's block belongs to the undo. */
static void remember(struct generation *g, struct gen_row *row)
{
    HF_ASSERT(g->undo_count < g->undo_capacity);
    HF_ASSERT(row->epoch != g->epoch);
    g->undo[g->undo_count] = (struct gen_undo){.row = row,
                                               .hash = row->hash,
                                               .value = row->value,
                                               .value_bytes = row->value_bytes,
                                               .value_capacity = row->value_capacity,
                                               .state = row->state};
    g->undo_count += 1;
    row->epoch = g->epoch;
}

static void give_value(struct generation *g, uint8_t *value, uint32_t capacity)
{
    if (value != NULL) pool_give(&g->pool, value, capacity);
}

int generation_put(struct generation *g, struct gen_row *row, uint8_t table, struct slice key,
                   uint64_t hash, bool covers, struct slice value, struct hash128 row_hash)
{
    HF_ASSERT(value.size <= STORE_VALUE_BYTES_MAX);
    HF_ASSERT(row == NULL || is_key_of(row, table, key));
    int rv = reserve_undo(g);
    if (rv != HF_OK) return rv;
    if (row == NULL) {
        rv = insert(g, table, key, hash, covers, &row);
        if (rv != HF_OK) return rv;
    }
    if (!row->in_order && !row->is_young) {
        rv = become_young(g, row);
        if (rv != HF_OK) return rv;
    }
    bool remembering = must_remember(g, row);
    uint8_t *block = row->value;
    uint32_t capacity = row->value_capacity;
    if (value.size > 0 && (remembering || value.size > capacity)) {
        block = pool_take(&g->pool, value.size);
        if (block == NULL) return HF_ENOMEM; /* a ghost may be left: it changes nothing */
        capacity = (uint32_t)pool_block_bytes(value.size);
    } else if (remembering) {
        block = NULL; /* no bytes, and the old block is the undo's */
        capacity = 0;
    }
    if (value.size > 0) memmove(block, value.data, value.size);
    if (remembering) {
        remember(g, row);
    } else if (block != row->value) {
        give_value(g, row->value, row->value_capacity);
    }
    row->value = block;
    row->value_capacity = capacity;
    row->value_bytes = (uint32_t)value.size;
    row->hash = row_hash;
    row->state = GEN_VALUE;
    return HF_OK;
}

int generation_del(struct generation *g, struct gen_row *row, uint8_t table, struct slice key,
                   uint64_t hash, bool covers)
{
    HF_ASSERT(row != NULL || covers);
    HF_ASSERT(row == NULL || is_key_of(row, table, key));
    int rv = reserve_undo(g);
    if (rv != HF_OK) return rv;
    if (row == NULL) {
        rv = insert(g, table, key, hash, covers, &row);
        if (rv != HF_OK) return rv;
    }
    if (!row->in_order && !row->is_young) {
        rv = become_young(g, row);
        if (rv != HF_OK) return rv;
    }
    if (must_remember(g, row)) {
        remember(g, row);
    } else {
        give_value(g, row->value, row->value_capacity);
    }
    row->value = NULL;
    row->value_capacity = 0;
    row->value_bytes = 0;
    row->state = row->covers ? GEN_TOMBSTONE : GEN_GHOST;
    unlink_ghost(g, row);
    if (row->state == GEN_GHOST) note_ghost(g, hash, row);
    return HF_OK;
}

void generation_savepoint(struct generation *g)
{
    HF_ASSERT(!g->in_savepoint);
    HF_ASSERT(g->undo_count == 0);
    g->in_savepoint = true;
    g->epoch += 1;
    HF_ASSERT(g->epoch != 0); /* 2^32 savepoints in one generation */
}

void generation_rollback(struct generation *g)
{
    HF_ASSERT(g->in_savepoint);
    g->in_savepoint = false;
    while (g->undo_count > 0) {
        g->undo_count -= 1;
        const struct gen_undo *u = &g->undo[g->undo_count];
        struct gen_row *row = u->row;
        HF_ASSERT(row->epoch == g->epoch);
        give_value(g, row->value, row->value_capacity);
        row->hash = u->hash;
        row->value = u->value;
        row->value_bytes = u->value_bytes;
        row->value_capacity = u->value_capacity;
        row->state = u->state;
        unlink_ghost(g, row);
    }
}

void generation_release(struct generation *g)
{
    HF_ASSERT(g->in_savepoint);
    g->in_savepoint = false;
    for (size_t i = 0; i < g->undo_count; i++) {
        const struct gen_undo *u = &g->undo[i];
        HF_ASSERT(u->value == NULL || u->value != u->row->value);
        give_value(g, u->value, u->value_capacity);
        unlink_ghost(g, u->row);
    }
    g->undo_count = 0;
}

uint64_t generation_bytes(const struct generation *g)
{
    return g->pool.bytes + g->row_count * sizeof(struct gen_slot) * 3 / 2;
}
