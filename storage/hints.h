/* Two small memories that keep lookups cheap; forgetting them changes nothing but time.
 * `recent`: what the last lookups on disk answered. A put looks its key up for the digest, right
 * after the machine's own get did.
 * `dead range`: a stretch of a table, one a table, that holds no visible row, only tombstones over
 * rows that are still on disk. Whoever looks for the first deadline again and again would otherwise
 * pass over all that were met since the last flush. */
#ifndef STORAGE_HINTS_H
#define STORAGE_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "storage/lmdb_rows.h"

enum { RECENT_COUNT = 64, RECENT_KEY_BYTES_MAX = 64, DEAD_ROWS_MIN = 8 };

struct recent_entry {
    uint64_t version;                  /**< of the layers when it was learnt; 0 = empty */
    uint64_t hash;                     /**< of the key */
    uint8_t table;                     /**< of the key */
    uint8_t key_bytes;                 /**< bytes of `key` in use */
    bool found;                        /**< `value` and `value_hash` are valid */
    struct slice value;                /**< borrowed from the map while the version stands */
    struct hash128 value_hash;         /**< row_hash() */
    uint8_t key[RECENT_KEY_BYTES_MAX]; /**< the key itself: equal hashes are not enough */
};

struct recent {
    struct recent_entry entries[RECENT_COUNT]; /**< by hash */
};

struct dead_range {
    bool known;                        /**< the rest is valid */
    bool to_end;                       /**< no row up to the table's end; `to` is not looked at */
    uint16_t from_bytes;               /**< bytes of `from` */
    uint16_t to_bytes;                 /**< bytes of `to` */
    uint8_t from[STORE_KEY_BYTES_MAX]; /**< first key of the stretch */
    uint8_t to[STORE_KEY_BYTES_MAX];   /**< first key behind it */
};

/** The entry of a key at a layers' version; NULL: not known. */
const struct recent_entry *recent_find(const struct recent *r, uint64_t version, uint8_t table,
                                       struct slice key, uint64_t hash);

/** Learn what the disk answered: a row, or NULL for none. */
void recent_learn(struct recent *r, uint64_t version, uint8_t table, struct slice key,
                  uint64_t hash, const struct lmdb_row *row);

/** Where a search from `from` may begin instead. \param start Out. \return false: no row at all. */
bool dead_range_start(const struct dead_range *d, struct slice from, struct slice *start);

/** Learn that a search from `from` passed over rows and found `to`, or the end (to.size 0). */
void dead_range_learn(struct dead_range *d, struct slice from, struct slice to);

/** A row was put. */
void dead_range_put(struct dead_range *d, struct slice key);

#endif
