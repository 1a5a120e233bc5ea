/* One line of a history (docs/history-format.md) as bytes: what was asked and answered, put in
 * order and quoted. Pure; knows nothing of clients, and nothing of what a line means. */
#ifndef CLIENT_CORE_RECORDER_LINE_H
#define CLIENT_CORE_RECORDER_LINE_H

#include <stdint.h>

#include "base/slice.h"
#include "protocol/limits.h"

enum { RECORDER_MEMBERS_BYTES = 1024 };

/** Members of a JSON object, without its braces: names and words of ours, and numbers. */
struct recorder_members {
    size_t size;                       /**< bytes in use */
    char text[RECORDER_MEMBERS_BYTES]; /**< more than any operation needs (asserted) */
};

enum recorder_outcome { RECORDED_OK, RECORDED_FAIL, RECORDED_UNKNOWN };

struct recorder_line {
    const char *model;              /**< "lock", "idem", "fencedreg" */
    uint64_t id;                    /**< of the operation */
    struct slice client;            /**< who called: UTF-8 */
    struct slice part;              /**< client's thread or key: "client/part"; may be empty */
    const char *op;                 /**< the format's word */
    struct slice key;               /**< lock, record or resource: UTF-8 */
    struct slice names[NAMES_MAX];  /**< of several locks at once: all, of which key is the first */
    size_t name_count;              /**< of them; below 2: it is key alone */
    uint64_t call_ns;               /**< just before it was first sent */
    uint64_t ret_ns;                /**< just after the answer came; not looked at if unknown */
    enum recorder_outcome outcome;  /**< what is known of it */
    const char *error;              /**< of a fail: the format's word; else NULL */
    struct recorder_members args;   /**< what was asked */
    struct recorder_members result; /**< what was answered; empty = nothing */
};

/** Add a member "name": number. */
void recorder_number(struct recorder_members *m, const char *name, uint64_t number);

/** Add a member "name": true or false. */
void recorder_flag(struct recorder_members *m, const char *name, bool flag);

/** Add a member "name": "text". \param text  nothing in it needs an escape. */
void recorder_text(struct recorder_members *m, const char *name, const char *text);

/** Add the lock's owner, "session/owner"; a record's is the session alone: `owner` 0. */
void recorder_owner(struct recorder_members *m, uint64_t session, uint64_t owner);

/** Begin a member that is a list; add a lock's owner to it; end it. */
void recorder_list(struct recorder_members *m, const char *name);
void recorder_list_owner(struct recorder_members *m, uint64_t session, uint64_t owner);
void recorder_list_end(struct recorder_members *m);

/** Add a member with bytes in hexadecimal. */
void recorder_hex(struct recorder_members *m, const char *name, struct slice bytes);

/** Add a record's response, "OUTCOME CODE HASH". \param outcome  enum record_outcome: DONE, FAILED.
 */
void recorder_response(struct recorder_members *m, uint64_t outcome, uint64_t code,
                       struct slice headers, struct slice body);

/** Append the line, with its end. \retval HF_ETOOLARGE, HF_ENOMEM `out` is as before. */
HF_MUST_USE
int recorder_line_write(struct buffer *out, const struct recorder_line *line);

/** Append a header line. \param drift_ppm how much faster than the history's clock the servers'
 * may be, 0 to 500,000. \param seed of a simulation; 0 = none. Errors as recorder_line_write(). */
HF_MUST_USE
int recorder_header_write(struct buffer *out, uint64_t drift_ppm, uint64_t seed);

/** Append a line that a checker does not look at. \param note nothing in it needs an escape. */
HF_MUST_USE
int recorder_note_write(struct buffer *out, const char *note);

#endif
