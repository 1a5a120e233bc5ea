/* Writer of histories: one JSON line an operation, in the format's version 2. Times are
 * CLOCK_MONOTONIC of this machine, read by true clocks only. Every line is one write() on a file
 * opened for appending. The run alone writes: a process that is killed inside write() may leave a
 * part of a line behind, so that its clients, which are killed, hand over whole lines instead
 * (jepsen/run/tape.h). */
#ifndef JEPSEN_JOURNAL_H
#define JEPSEN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum journal_outcome { JOURNAL_OK, JOURNAL_FAIL, JOURNAL_UNKNOWN };

enum { JOURNAL_TEXT_BYTES = 256, JOURNAL_LINE_BYTES = 2048 };

struct journal {
    int fd; /**< -1 = closed */
};

/** One operation. Texts are ours: ASCII without quotes, backslashes or control bytes. */
struct journal_line {
    uint64_t id;                     /**< unique in the run */
    const char *model;               /**< "lock", "idem" or "fencedreg"; borrowed */
    const char *client;              /**< thread that called; borrowed */
    const char *op;                  /**< borrowed */
    const char *key;                 /**< borrowed */
    uint64_t call_ns;                /**< just before the request was first sent */
    uint64_t ret_ns;                 /**< just after the answer; not written if unknown */
    enum journal_outcome outcome;    /**< ok, fail, unknown */
    const char *error;               /**< with fail; borrowed */
    char args[JOURNAL_TEXT_BYTES];   /**< members of the object `args`, as JSON; may be empty */
    char result[JOURNAL_TEXT_BYTES]; /**< members of `result`, with ok or fail; may be empty */
};

/** Open for appending, made if absent. \return false: errno says why. */
bool journal_open(struct journal *h, const char *path);

/** Close it; one that is closed is accepted, a zeroed one is not. */
void journal_close(struct journal *h);

/** An operation as a line with its end. \param text  Out: room for JOURNAL_LINE_BYTES.
 * \return the line's bytes, without the NUL behind it. */
size_t journal_format(const struct journal_line *line, char *text);

/** Append lines as they are; a failing disk ends the process, as in journal_put(). */
void journal_append(const struct journal *h, const char *text, size_t size);

/** Append one operation; a failing disk ends the process: a history with holes proves nothing. */
void journal_put(const struct journal *h, const struct journal_line *line);

/** Append the header: the servers' clocks are right, but for `margin_ms` of each lease. */
void journal_put_header(const struct journal *h, uint64_t margin_ms, uint64_t seed);

/** Append a line of another type: "nemesis" or "note". \param ret_ns 0 = it has no end.
 * \param what   one word. \param detail  for people; ASCII without quotes. */
void journal_put_event(const struct journal *h, const char *type, uint64_t call_ns, uint64_t ret_ns,
                       const char *what, const char *detail);

/** CLOCK_MONOTONIC now, in nanoseconds. */
uint64_t journal_now_ns(void);

#endif
