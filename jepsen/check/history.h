/* A history in memory: the operations of one model, read line by line and strictly
 * (docs/history-format.md). A line that shows nothing is counted and dropped; a line that breaks
 * the format ends the reading with a sentence that names the line.
 *
 *     history_init(); history_line() for each line; history_finish(); operations by key and call
 *
 * Bounds: the format's limits, in this file. No input makes more than they say of anything. */
#ifndef JEPSEN_CHECK_HISTORY_H
#define JEPSEN_CHECK_HISTORY_H

#include "base/slice.h"
#include "jepsen/check/operation.h"
#include "jepsen/check/strings.h"

enum {
    HISTORY_LINE_BYTES_MAX = 64 << 10,
    HISTORY_OPERATIONS_MAX = 1000000,
    HISTORY_KEYS_MAX = 100000,
    HISTORY_NAMES_MAX = 32,
    HISTORY_STRING_BYTES_MAX = 1024,
    HISTORY_KEY_BYTES_MAX = 255,
    HISTORY_COMPLAINT_BYTES = 512,
    HISTORY_DRIFT_PPM_MAX = 500000,
    HISTORY_NS_PER_MS = 1000000,
};

#define HISTORY_NS_MAX (INT64_C(1) << 62)
#define HISTORY_MS_MAX INT64_C(100000000000) /* three years */

/** How much shorter than promised a lease may be, in this history. */
struct history_clock {
    int64_t drift_ppm; /**< how much faster the servers' clocks may run */
    int64_t margin_ns; /**< and what else */
};

struct history {
    const char *model;                       /**< of which lines are taken; static */
    struct operation *operations;            /**< owned; after history_finish() by key and call */
    size_t count;                            /**< of them */
    size_t room;                             /**< for so many */
    struct operation *waits;                 /**< owned: acquires that show nothing, in no order:
                                                  they may have waited */
    size_t wait_count;                       /**< of them */
    size_t wait_room;                        /**< for so many */
    struct strings strings;                  /**< every name and value */
    struct strings keys;                     /**< the keys alone, to count them */
    struct history_clock clock;              /**< of the header */
    uint32_t names[HISTORY_NAMES_MAX];       /**< strings: of the line read last, if several */
    size_t name_count;                       /**< of them; 0 = it has one key */
    uint32_t cycle[HISTORY_NAMES_MAX];       /**< strings: owners, of the line read last */
    size_t cycle_count;                      /**< of them */
    uint32_t *cycles;                        /**< owned: those of all lines, one behind the other */
    size_t cycles_size;                      /**< of them */
    size_t cycles_room;                      /**< for so many */
    uint32_t line;                           /**< read last, from 1 */
    uint32_t dropped;                        /**< lines of this model that show nothing */
    uint32_t others;                         /**< lines of other models, or of other types */
    bool has_header;                         /**< one was read */
    char complaint[HISTORY_COMPLAINT_BYTES]; /**< what is wrong, a sentence */
};

/** Make an empty one. \param model "lock", "idem" or "fencedreg"; static. */
void history_init(struct history *h, const char *model);

/** Free it; a zeroed one is accepted. */
void history_close(struct history *h);

/** Take the next line. \param line without its line end; empty is an error.
 * \retval HF_EBADREQUEST the line breaks the format: see `complaint`.
 * \retval HF_ETOOLARGE   a bound of this file is reached: likewise.
 * \retval HF_ENOMEM      likewise. */
HF_MUST_USE
int history_line(struct history *h, struct slice line);

/** All lines are in: order the operations, count leases.
 * \retval HF_EBADREQUEST two operations have one id: see `complaint`. \retval HF_ENOMEM */
HF_MUST_USE
int history_finish(struct history *h);

/** Until when a promise of `ms`, made at `from_ns`, holds at least. */
int64_t history_until(const struct history_clock *clock, int64_t from_ns, int64_t ms);

/** Keep a sentence about the line that was read last, and give back HF_EBADREQUEST. */
__attribute__((format(printf, 2, 3))) int history_refuse(struct history *h, const char *format,
                                                         ...);

/** Read one line into an operation: jepsen/check/line.c, for history_line() alone.
 * \param taken Out: false = a line to be dropped or of another model. */
HF_MUST_USE
int history_parse(struct history *h, struct slice line, struct operation *out, bool *taken);

#endif
