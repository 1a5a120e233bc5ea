/* The term of every entry that the log on disk still holds, as runs: terms rise rarely, so a log of
 * millions of entries is a handful of numbers. It reaches further back than the entries in memory
 * (raft/entries.h), for a peer that is fed from the disk. Memory that cannot be had ends the
 * process. */
#ifndef RAFT_TERMS_H
#define RAFT_TERMS_H

#include <stddef.h>
#include <stdint.h>

struct terms_run {
    uint64_t first; /**< index of its first entry */
    uint64_t term;  /**< of that entry and those up to the next run */
};

struct terms {
    struct terms_run *runs; /**< owned; rising in `first` */
    size_t count;           /**< of them */
    size_t capacity;        /**< allocated */
    uint64_t next;          /**< index of the next entry; no entry at or above it is known */
};

/** Forget everything; the next entry is `next` (at least 1). A zeroed one is accepted. */
void terms_reset(struct terms *t, uint64_t next);

/** Free what it owns. */
void terms_close(struct terms *t);

/** The entry at t->next has this term (at least 1). Terms of a sound log never fall; whether they
 * do is for others to judge. */
void terms_append(struct terms *t, uint64_t term);

/** The entries from `index` on are gone. */
void terms_truncate(struct terms *t, uint64_t index);

/** The entries before `index` are not needed any more. */
void terms_cut(struct terms *t, uint64_t index);

/** The index of the first entry whose term is known; t->next if there is none. */
static inline uint64_t terms_first(const struct terms *t)
{
    return t->count > 0 ? t->runs[0].first : t->next;
}

/** The term of an entry; 0 = not known. */
uint64_t terms_at(const struct terms *t, uint64_t index);

#endif
