/* The store in memory: the simulation's, and the oracle of the LMDB store's differential test. It
 * is deliberately the simplest thing that keeps the interface's promises: one ordered table with
 * everything in it, and a list of what each change displaced. */
#ifndef STORAGE_STORE_MEMORY_H
#define STORAGE_STORE_MEMORY_H

#include "storage/store.h"

/** Make an empty store. \param out Out: owned, store_close(). \retval HF_ENOMEM */
HF_MUST_USE
int store_memory_open(struct store **out);

/** What a killed process would find at its next start: go back to the last generation for which
 * store_flush_run() answered HF_OK (reported done or not), or to nothing. No cursor may be open and
 * no flush may be running; a savepoint ends. \retval HF_ENOMEM the store may only be closed. */
HF_MUST_USE
int store_memory_crash(struct store *s);

/** Replace everything by an image, as if the store had been opened on it. No cursor may be open and
 * no flush may be running; a savepoint ends. \retval HF_ECORRUPT, HF_ENOMEM, or source_cb's:
 * nothing changed */
HF_MUST_USE
int store_memory_import(struct store *s, store_source_cb source_cb, void *data);

/** Make the next `count` calls of store_flush_run() answer `status` and write nothing: a full disk
 * (HF_EDISKFULL) or a failed one (HF_EIO), for the simulation. */
void store_memory_fail_flush(struct store *s, unsigned count, int status);

/** What store_free_inside() and store_has_room() answer from now on. */
void store_memory_set_free_inside(struct store *s, uint64_t bytes);
void store_memory_set_room(struct store *s, bool room);

#endif
