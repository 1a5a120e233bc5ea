/* A server's store in a simulation: the one in memory, or the real one (storage/store_lmdb.h) in a
 * temporary folder, behind one interface that also fails and crashes. What either of them shows is
 * the same, so that a seed has one digest over both: bytes of the active generation, which the
 * real store counts with all that it allocates, are counted here, keys and values alone.
 *
 * A crash drops the store's handles without a flush and opens it again: whatever was flushed is
 * there, reported done or not. A power cut is the same: that LMDB syncs what it commits is taken
 * on trust here. One thread: what a flush does at another's side is not looked at. */
#ifndef TESTS_SIM_SIM_STORE_H
#define TESTS_SIM_SIM_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/store.h"

/** Make an empty store. It fails the run if it cannot.
 * \param on_disk  the real one, in a folder under $TMPDIR or /tmp
 * \param index    of the server, below SIM_NODES_MAX; one store each at a time
 * \return owned: store_close(), which leaves the folder to sim_stores_remove() */
struct store *sim_store_open(bool on_disk, uint32_t index);

/** The server has died. First its rows must add up to its digest. No flush
 * may be running. */
void sim_store_crash(struct store *s);

/** It is lost, and an empty one made in its place. No flush may be running. */
void sim_store_anew(struct store *s);

/** The next store_flush_run() answers `status` and writes nothing. */
void sim_store_fail_flush(struct store *s, int status);

/** Remove what was made on disk, if anything was; open stores go on without their names. Only
 * calls that a signal handler may make. */
void sim_stores_remove(void);

/** The folder, NULL if there is none; static. */
const char *sim_stores_folder(void);

#endif
