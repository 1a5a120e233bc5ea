/* The one row that the store keeps for itself: what the rows beside it stand for. Written in the
 * same transaction as they are, with a hash of its own, so that counts and digest can be held
 * against the rows. Big-endian:
 *   16 hash | u32 format | u64 sequence | u64 index | u64 term | u64 configuration index |
 *   16 digest | u32 tables | tables x u64 row count | u32 bytes | configuration */
#ifndef STORAGE_MARK_ROW_H
#define STORAGE_MARK_ROW_H

#include "storage/store.h"

enum {
    MARK_ROW_FORMAT = 1,   /* of the whole store: keys, row hashes and this row */
    MARK_ROW_TABLE = 0xff, /* behind all tables: the last row of the file */
    MARK_ROW_BYTES_MAX =
        16 + 4 + 4 * 8 + 16 + 4 + STORE_TABLE_COUNT_MAX * 8 + 4 + STORE_CONFIG_BYTES_MAX,
};

struct mark_row {
    uint64_t sequence;                      /**< of the transaction that wrote it, counted from 1 */
    struct store_mark mark;                 /**< configuration borrowed */
    struct hash128 digest;                  /**< sum of the hashes of all rows but this one */
    uint64_t counts[STORE_TABLE_COUNT_MAX]; /**< rows by table */
};

/** Its key behind the table's byte; static. */
struct slice mark_row_key(void);

/** Append the row's value to an empty buffer. \retval HF_ENOMEM */
HF_MUST_USE
int mark_row_encode(const struct mark_row *row, struct buffer *out);

/** Read a value back. \param row Out: its configuration is borrowed from `value`.
 * \retval HF_ECORRUPT hash or shape is wrong; \retval HF_EVERSION written by a later format */
HF_MUST_USE
int mark_row_decode(struct slice value, struct mark_row *row);

#endif
