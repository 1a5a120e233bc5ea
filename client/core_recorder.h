/* What a client asks and is told, as lines of docs/history-format.md, for a checker of whole
 * histories. Off unless core_config.history is set; then the core tells it of every request that is
 * sent, every answer before it decides what to tell a caller, and every end of a call:
 *
 *   a call or an ABANDON  gets a struct recorder_op when it is made, with the time of its first
 * send its answer            becomes a line (core_recorder_answer.c); a call that ends without one
 * is `unknown`, unless it is certain that no send of it was taken grants and attempts   are kept by
 * token until their end is known: KEEP, losses and CLOSE tell of many at once and are a line for
 * each
 *
 * It reads the core and changes nothing in it. Out of memory: the sink is told that lines are
 * missing, and the client goes on. */
#ifndef CLIENT_CORE_RECORDER_H
#define CLIENT_CORE_RECORDER_H

#include <stdbool.h>

#include "base/arena.h"
#include "client/core_recorder_line.h"
#include "protocol/frame.h"
#include "protocol/messages.h"

struct core;
struct call;
struct abandon;

enum { RECORDER_GRANTS_MAX = 16384 }; /* not known to have ended; more: lines are missing */

/** Where lines go, and what time is written in them. Clients of one thread may share one. */
struct recorder_sink {
    uint64_t (*now_cb)(void *data);                 /**< the history's one clock, ns > 0 */
    void (*line_cb)(void *data, struct slice line); /**< a whole line; borrowed */
    void (*broken_cb)(void *data);                  /**< lines are missing from here on */
    void *data;                                     /**< handed to all three */
    uint64_t id_last;                               /**< of the line before; counts on */
};

/** The names of locks that were asked for at once, or the key of a record. Owned. */
struct recorder_names {
    size_t count;    /**< 0 = none is known; then there are no bytes */
    size_t size;     /**< of bytes */
    uint8_t *packed; /**< each: its length in one byte, then itself */
};

/** A request between its making and its line. */
struct recorder_op {
    uint64_t call_ns;            /**< before its first send; 0 = not sent yet */
    uint64_t last_ns;            /**< before its last send */
    uint32_t sends;              /**< ABANDON: has no number, each is answered for itself */
    uint64_t session;            /**< that it was sent in; 0 = none */
    uint64_t token;              /**< that the request names; 0 = none */
    uint64_t owner;              /**< RELEASE, ABANDON: of the grant */
    bool attempt;                /**< ABANDON: of an attempt */
    bool own;                    /**< the library's own doing, no caller's */
    struct recorder_names names; /**< RELEASE and others by token: of what it is of; else empty */
};

/** A grant or attempt that may still stand, or an acquire that may have brought one. */
struct recorder_grant {
    uint64_t token;              /**< 0 = not known: of an acquire of unknown outcome */
    uint64_t owner;              /**< of a grant */
    uint64_t seen_ns;            /**< send of the last request whose answer showed it alive */
    bool attempt;                /**< not a grant of a lock */
    bool bound;                  /**< ends with the session */
    bool held_for;               /**< it has a hold_max */
    bool completing;             /**< COMPLETE was asked for */
    struct recorder_names names; /**< locks or record */
};

struct recorder {
    struct recorder_sink *sink;    /**< borrowed */
    struct arena arena;            /**< requests and answers, decoded here a second time */
    struct buffer line;            /**< the one under way */
    struct recorder_grant *grants; /**< owned; in no order */
    uint32_t grant_count;          /**< of them */
    uint32_t grant_places;         /**< allocated */
    uint64_t keep_ns;              /**< send of the KEEP or RESUME on its way */
    uint64_t told_ns;              /**< last send of the request whose answer is being read */
    int told_reason; /**< of SESSION_EXPIRED, if that is it: enum end_reason; else 0 */
};

/* ------------------------------------------------------------------ the core's side */

/** Begin. \param sink borrowed until recorder_close(); NULL = nothing is recorded.
 * \retval HF_ENOMEM */
HF_MUST_USE
int recorder_open(struct core *c, struct recorder_sink *sink);

/** Write what is still open as unknown, and free all. */
void recorder_close(struct core *c);

/** A call was submitted; it, or its CANCEL, is being sent. */
void recorder_submitted(struct core *c, struct call *call);
void recorder_sent(struct core *c, struct call *call);

/** A reply frame is for this call (`call` NULL: for KEEP or RESUME), or for this ABANDON. */
void recorder_hears(struct core *c, const struct call *call, uint16_t op,
                    const struct reply_frame *reply);
void recorder_hears_abandon(struct core *c, const struct abandon *a,
                            const struct reply_frame *reply);

/** The call's final answer, or what CANCEL told of it. Bytes that do not decode are left out. */
void recorder_answer(struct core *c, struct call *call, const struct reply_frame *reply);

/** CANCEL found it without effect. */
void recorder_canceled(struct core *c, struct call *call);

/** It is over; nothing happens if its line is written already. */
void recorder_over(struct core *c, struct call *call, int status);

/** KEEP or RESUME is being sent; it was answered by a session that lives. */
void recorder_keep_sent(struct core *c);
void recorder_kept(struct core *c, const struct msg_keep_reply *keep);

/** The session ended: by its own CLOSE, if one is under way; call it before grants are ended.
 * \param reason  enum end_reason, unless the answer that told it had one. */
void recorder_session_end(struct core *c, int status, int reason);

/** A token is to be given back; ABANDON is being sent; is answered; will not be asked again. */
void recorder_abandon(struct core *c, struct abandon *a);
void recorder_abandon_sent(struct core *c, struct abandon *a);
void recorder_abandon_answer(struct core *c, struct abandon *a, int status);
void recorder_abandon_over(struct core *c, struct abandon *a);

/* ------------------------------------------------------------------ between its files */

/** Now, by the history's clock. */
uint64_t recorder_now(const struct recorder *r);

/** Number the line, name the client in it, hand it over. */
void recorder_emit(struct core *c, struct recorder_line *line);

/** The grant or attempt of this token, or NULL. */
struct recorder_grant *recorder_find(const struct recorder *r, uint64_t token);

/** Add one of the line's names, or find it. \return NULL: there is no room; the sink was told. */
struct recorder_grant *recorder_add(struct recorder *r, uint64_t token,
                                    const struct recorder_line *line);

/** Make the line one of these names. \param names  borrowed until it is written; not empty. */
void recorder_set_names(struct recorder_line *line, const struct recorder_names *names);

/** Free a request's. NULL is accepted. */
void recorder_free_op(struct recorder_op *op);

/** It has ended. */
void recorder_forget(struct recorder *r, uint64_t token);

/** Write CLOSE's lines: what it ended, or may have. \param outcome  OK or unknown. */
void recorder_write_close(struct core *c, const struct recorder_op *op,
                          enum recorder_outcome outcome);

/** A call's request, from its own bytes, in the recorder's arena. Errors as codec_decode(). */
HF_MUST_USE
int recorder_decode_request(const struct core *c, const struct call *call, void *out);

/** What a call asks, as a line without outcome. \return false: it is no operation of the format,
 * or its bytes do not decode. */
bool recorder_describe(struct core *c, const struct call *call, struct recorder_line *line);

#endif
