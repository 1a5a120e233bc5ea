/* The log's recent entries in memory, indexed, so that the applier and the peers' messages need no
 * disk. Data lies in chunks that never move: a slice from entries_get() stays good until its entry
 * is trimmed or truncated. The ring holds up to `bytes_max` and what is not yet droppable beyond;
 * older entries are read from the write-ahead log (wal_read()), and only their terms are known.
 * One thread, the loop's. Memory that cannot be had ends the process. */
#ifndef RAFT_ENTRIES_H
#define RAFT_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/log_entry.h"
#include "raft/terms.h"

enum { ENTRIES_BYTES_MAX_DEFAULT = 64 * 1024 * 1024 };

struct entries_slot;
struct entries_chunk;

struct entries {
    struct entries_slot *slots;  /**< owned; a circle of `capacity` slots, a power of two */
    size_t capacity;             /**< slots */
    size_t head;                 /**< slot of the entry `first` */
    size_t count;                /**< entries held */
    uint64_t first;              /**< index of the first entry held; of the next one if none is */
    struct terms terms;          /**< of these and of older ones that the log on disk holds */
    size_t bytes;                /**< data bytes held */
    size_t bytes_max;            /**< what entries_trim() keeps them under */
    struct entries_chunk *chunk; /**< owned; the one that is being filled; may be NULL */
    struct entries_chunk *spare; /**< owned; one empty chunk kept for the next need; may be NULL */
};

/** Make an empty ring whose next entry is `first` (at least 1). */
void entries_init(struct entries *e, uint64_t first, size_t bytes_max);

/** Free everything; a zeroed one is accepted. */
void entries_close(struct entries *e);

/** Forget all entries; the next is `first`, the term before it `before_term` (0 = not known). */
void entries_reset(struct entries *e, uint64_t first, uint64_t before_term);

/** Append a copy; entry->index must be entries_last() + 1. */
void entries_append(struct entries *e, const struct log_entry *entry);

/** Drop the entries from `index` on, the next is `index`: also older than the first one held, as
 * long as the log on disk holds it. At most entries_last() + 1. */
void entries_truncate(struct entries *e, uint64_t index);

/** Drop the oldest entries while more than bytes_max are held, none above `index_max`. */
void entries_trim(struct entries *e, uint64_t index_max);

/** Index of the last entry held; first - 1 if none is. */
static inline uint64_t entries_last(const struct entries *e)
{
    return e->first + e->count - 1;
}

/** True if the entry's bytes are here. */
static inline bool entries_has(const struct entries *e, uint64_t index)
{
    return index >= e->first && index - e->first < e->count;
}

/** The entry at `index`, which must be held; data borrowed until it is trimmed or truncated. */
struct log_entry entries_get(const struct entries *e, uint64_t index);

/** The term of the entry at `index`, also of one that only the disk holds; 0 = not known here. */
static inline uint64_t entries_term(const struct entries *e, uint64_t index)
{
    return terms_at(&e->terms, index);
}

/** The disk does not hold the entries before `index` any more: forget their terms, but for those
 * that are held here. */
void entries_forget(struct entries *e, uint64_t index);

/** Index of the last LOG_CHANGE at or below `index`; 0 = none is held. */
uint64_t entries_last_change(const struct entries *e, uint64_t index);

#endif
