/* The ordered store: byte keys in numbered tables, and the only home of replicated state.
 *
 * A write goes to an ordered table in memory, the ACTIVE generation. store_checkpoint() turns it
 * into the FLUSHING generation, which store_flush_run() (a background thread) writes, sorted, in
 * one synced transaction together with the mark it stands for; reads look in active, flushing,
 * then on disk, so that the loop never waits for a commit. After a crash the store stands exactly
 * at the mark of the last flush that was reported done, and the log is applied again from there.
 *
 * Two implementations behind one interface: store_lmdb (storage/store_lmdb.h) and store_memory
 * (storage/store_memory.h; the simulation's, and the oracle of the differential test).
 *
 * One thread, the loop's, makes every call but store_flush_run(). Faults (HF_EIO, HF_ECORRUPT,
 * HF_ENOMEM) are for the caller to stop at; the store changes nothing more after one. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/slice.h"

enum {
    STORE_TABLE_COUNT_MAX = 64,         /* tables are numbered 0 .. 63 */
    STORE_KEY_BYTES_MAX = 400,          /* LMDB's 511 less the table's prefix, rounded down */
    STORE_VALUE_BYTES_MAX = 256 * 1024, /* a record with body, headers and checkpoint fits */
    STORE_CONFIG_BYTES_MAX = 64 * 1024, /* an encoded cluster configuration */
};

struct store;

/** What a flushed generation stands for: everything up to and with entry `index`. */
struct store_mark {
    uint64_t index;               /**< last applied entry; 0 = nothing yet */
    uint64_t term;                /**< that entry's term */
    uint64_t configuration_index; /**< entry that set the configuration in force at `index` */
    struct slice configuration;   /**< its encoded form, borrowed; may be empty */
};

/** A position in a table; opaque but for its size, so that it can live on the stack. */
struct store_cursor {
    struct store *store;  /**< borrowed */
    uint8_t table;        /**< the table it walks */
    uint64_t private[12]; /**< the implementation's */
};

/** Find `key`. \param value Out: borrowed until the next call that changes the store or its
 * generations (put, del, rollback, checkpoint, flush_done). \retval HF_ENOTFOUND; faults. */
HF_MUST_USE
int store_get(struct store *s, uint8_t table, struct slice key, struct slice *value);

/** Insert or replace; key and value are copied. Key 1 to 400 bytes, value 0 to 256 KiB (asserted).
 * `value` may be borrowed from this store. */
HF_MUST_USE
int store_put(struct store *s, uint8_t table, struct slice key, struct slice value);

/** Remove. \retval HF_ENOTFOUND nothing was there, nothing changed. */
HF_MUST_USE
int store_del(struct store *s, uint8_t table, struct slice key);

/** Place a cursor at the first key >= `from` of a table (empty = the first).
 * \param key Out. \param value Out; both borrowed as store_get()'s. \retval HF_ENOTFOUND no such
 * key; the cursor must still be closed. Writes to the store while a cursor is open are legal: the
 * cursor goes on behind the key it last returned, in the store as it then is. */
HF_MUST_USE
int store_seek(struct store *s, uint8_t table, struct slice from, struct store_cursor *c,
               struct slice *key, struct slice *value);

/** The next key in order. \retval HF_ENOTFOUND the end. */
HF_MUST_USE
int store_next(struct store_cursor *c, struct slice *key, struct slice *value);

/** End a walk; a zeroed cursor is accepted. */
void store_cursor_close(struct store_cursor *c);

/** Begin to remember how to undo. One at a time. */
void store_savepoint(struct store *s);

/** Undo every put and del since store_savepoint() (counters and digest too), and end it. */
HF_MUST_USE
int store_rollback(struct store *s);

/** Keep what was done since store_savepoint(), and end it. */
void store_release(struct store *s);

/** The set hash over all rows of all tables: the sum, modulo 2^128, of H(table, key, value).
 * Equal rows give equal digests, whatever the order in which they came to be. */
struct hash128 store_digest(const struct store *s);

/** Rows in a table. */
uint64_t store_count(const struct store *s, uint8_t table);

/** Bytes in the active generation: what a checkpoint policy looks at. */
uint64_t store_active_bytes(const struct store *s);

/** True while a flushing generation exists: no second checkpoint can begin. */
bool store_is_flushing(const struct store *s);

/** False once the flushed rows take up as much as the store was given. Flushes go on beyond, so
 * that what frees can be written; the caller refuses what takes space. */
bool store_has_room(const struct store *s);

/** Bytes inside the store's file that were given up, as of the last flush: what is flushed goes
 * there before the file takes more of the disk. */
uint64_t store_free_inside(const struct store *s);

/** The mark of the last flush that is durable; after open, where the log must be applied from.
 * configuration is borrowed until the next flush_done. */
const struct store_mark *store_mark(const struct store *s);

/** Make the active generation the flushing one, standing for `mark`. Between two entries only,
 * never past the log's durable index (the caller's duty), and not inside a savepoint.
 * \param mark copied. \retval HF_ETOOBUSY a generation is still flushing. */
HF_MUST_USE
int store_checkpoint(struct store *s, const struct store_mark *mark);

/** Write and sync the flushing generation. Blocks for the disk; any one thread, while the loop's
 * thread goes on using the store. \retval HF_EDISKFULL weather: nothing was written, call again
 * later; HF_EIO, HF_ECORRUPT faults: the process must end. */
HF_MUST_USE
int store_flush_run(struct store *s);

/** Back on the loop's thread after store_flush_run() answered HF_OK: drop the generation, renew
 * the reader, move store_mark(). */
HF_MUST_USE
int store_flush_done(struct store *s);

/** Recompute the digest from the rows themselves and compare: after open and by a scrub.
 * Walks everything. \retval HF_ECORRUPT a row's checksum or the digest does not match. */
HF_MUST_USE
int store_verify(struct store *s);

/** Takes the next bytes of an image, borrowed. \return HF_OK to go on; else the export ends so. */
typedef int (*store_sink_cb)(struct slice bytes, void *data);

/** Reads exactly `bytes` bytes of an image. \return HF_ECORRUPT if it ends before. */
typedef int (*store_source_cb)(void *out, size_t bytes, void *data);

/** Write the state of the newest flush as an image (storage/image.h). Blocks for the length of the
 * sink; any one thread, while the loop goes on. On disk the pages that it stands on are not reused
 * meanwhile: let the sink be a local file, never a slow peer.
 * \param index Out: the mark's index. \retval HF_ECORRUPT, HF_EIO, HF_ENOMEM, or the sink's */
HF_MUST_USE
int store_export(struct store *s, store_sink_cb sink_cb, void *data, uint64_t *index);

/** Close without flushing and free; NULL is accepted. No flush may be running. */
void store_close(struct store *s);

#endif
