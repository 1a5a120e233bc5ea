/* The history of a client as a file (docs/history-format.md): lines that the recorder hands over
 * under the client's lock are gathered in memory, and a thread of its own writes them, so that no
 * call waits for a disk. The file is appended to, whole lines at a time, so that several clients
 * and processes may share one; who finds it empty writes the header.
 *
 * A line that is left out would make a false history. So when the disk takes no more, or lines come
 * faster than HISTORY_BYTES_MAX lets them wait, the recording stops for good: a log line, a line of
 * type "note" in the file if there is room for one, and the client goes on. */
#ifndef CLIENT_HISTORY_FILE_H
#define CLIENT_HISTORY_FILE_H

#include <stdbool.h>

#include "base/assert.h"
#include "client/core_recorder.h"

enum { HISTORY_BYTES_MAX = 8 * 1024 * 1024 }; /* of lines that wait to be written */

struct history_file;

/** Open the file for appending, make it if there is none, and start the thread.
 * \param out  owned: history_file_close() it.
 * \retval HF_EIO it cannot be opened, or takes no header. \retval HF_ENOMEM */
HF_MUST_USE
int history_file_open(const char *path, struct history_file **out);

/** Where the core writes to. Borrowed. */
struct recorder_sink *history_file_sink(struct history_file *f);

/** Write what waits, end the thread, free. NULL is accepted. \param forked in a child only its copy
 * of the descriptor goes. */
void history_file_close(struct history_file *f, bool forked);

#endif
