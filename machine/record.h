/* Idempotency records (docs/contract.md, section 6): one row a key, one attempt at a time.
 *
 *   ABSENT -> RUNNING -> DONE | FAILED | RETRYABLE | UNKNOWN;  DONE, FAILED -> TOMBSTONE -> ABSENT
 *
 * An attempt whose lease ended under TAKEOVER_AUTO is lapsed: still RUNNING, still good to
 * complete, until the next BEGIN takes over: log order decides. The files: record.c reads, writes
 * and moves a record between states; record_begin.c is BEGIN, parked or not, and its retry;
 * record_attempt.c what an attempt does; record_end.c what ends it; record_operator.c what people
 * decide; record_reads.c shows.
 *
 * Rows of a record: row_record by key; its checkpoint's data by key, apart, so that an EXTEND does
 * not copy it; while RUNNING its token in TABLE_ATTEMPTS, and in TABLE_BOUND if its lease is the
 * session's; one deadline row at most (row.deadline_kind), for its lease or its retention. */
#ifndef MACHINE_RECORD_H
#define MACHINE_RECORD_H

#include "machine/dispatch.h"
#include "machine/state.h"

/** Who begins: a request that just came, or one that was parked. */
struct begin_call {
    const struct msg_begin *request; /**< borrowed */
    uint64_t session;                /**< whose; alive */
    bool waited;                     /**< it was parked, and still counts as such */
    struct slice peer;               /**< the caller's address */
    struct slice traceparent;        /**< of the request */
};

/** Read a record. \retval HF_ENOTFOUND; faults. */
HF_MUST_USE
int record_get(struct machine *m, struct slice key, struct row_record *row);

/** Write it, after its deadline row was put where its state wants it. */
HF_MUST_USE
int record_put(struct machine *m, struct slice key, struct row_record *row);

/* What a record, and then its tombstone, counts of its principal's bytes, beside what is in it. */
enum { RECORD_BYTES_EACH = 512, TOMBSTONE_BYTES_EACH = 256 };

/** Has it no outcome yet? */
bool record_is_open(const struct row_record *row);

/** What it counts of its principal's bytes. */
uint64_t record_bytes_of(struct slice key, const struct row_record *row);

/** The same of a tombstone. */
static inline uint64_t tombstone_bytes_of(struct slice key)
{
    return TOMBSTONE_BYTES_EACH + key.size;
}

/** Remove a tombstone's row, and count it no more. */
HF_MUST_USE
int record_tombstone_del(struct machine *m, struct slice key, const struct row_tombstone *row);

/** Remove a record and all its rows; nobody waits for it (asserted). */
HF_MUST_USE
int record_del(struct machine *m, struct slice key, struct row_record *row);

/** The next attempt begins: new token, new holder, RUNNING. Not written yet. */
HF_MUST_USE
int record_start(struct machine *m, struct slice key, struct row_record *row,
                 const struct begin_call *call);

/** The attempt is over: RUNNING no more, its token and binding are forgotten. `state` is what it
 * becomes. Marks that were open are closed unless it becomes UNKNOWN. Not written yet. */
HF_MUST_USE
int record_stop(struct machine *m, struct slice key, struct row_record *row,
                enum record_state state);

/** The attempt's lease has ended: by its marks and policy it becomes UNKNOWN, FAILED, or lapses.
 * Written, and whoever waits is served. */
HF_MUST_USE
int record_lease_end(struct machine *m, struct slice key, struct row_record *row);

/** The data of the last checkpoint, copied to scratch; empty if there is none. */
HF_MUST_USE
int record_checkpoint_data(struct machine *m, struct slice key, struct slice *data);

/** Milliseconds until the attempt's lease ends, its own or its session's; 0 if lapsed. */
HF_MUST_USE
int record_lease_left(struct machine *m, const struct row_record *row, uint64_t *left_ms);

/** Hash of a fingerprint, as a tombstone keeps it; of one that is that hash already, itself. */
void record_fingerprint_hash(struct slice fingerprint, uint8_t hash[HASH128_BYTES]);

/** An operator's act upon a record. All borrowed. */
struct record_act {
    struct slice key;           /**< of the record */
    struct slice operator_name; /**< who */
    struct slice evidence;      /**< why: stays with the record until it is erased */
    struct slice reason;        /**< why, for the audit; empty: what stays with the record */
    uint64_t before;            /**< enum record_state that it was in */
};

/** Take an operator's act down, in the row (not written yet) and in the audit. */
HF_MUST_USE
int record_note_act(struct machine *m, const struct op_context *ctx, struct row_record *row,
                    const struct record_act *act);

/** Tell whoever watches that it is in another state now: UNKNOWN always, the others on request.
 * \param state  enum record_state; RECORD_TOMBSTONE and RECORD_ABSENT: what is left of it. */
HF_MUST_USE
int record_tell(struct machine *m, struct slice key, const struct row_record *row,
                enum record_state state);

/** When its retention ends. UINT64_MAX: never, or not while it is as it is. */
uint64_t record_reaped_at(const struct row_record *row);

/* BEGIN, and the retry, end of wait and serving of parked ones. */
HF_MUST_USE
int record_begin(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
HF_MUST_USE
int record_begin_repeat(struct machine *m, uint64_t session, const struct row_reply *stored,
                        struct reply_out *out);
HF_MUST_USE
int record_wait_over(struct machine *m, const struct parked *p, struct reply_out *out);
HF_MUST_USE
int record_left(struct machine *m, const struct parked *p);

/** Answer those parked at `key`, in order, as its state allows.
 * \retval HF_ETOOBUSY the serving's budget ended with more to do; faults. */
HF_MUST_USE
int record_serve(struct machine *m, struct slice key);

/* EXTEND, CHECKPOINT, COMPLETE, RESOLVE. */
HF_MUST_USE
int record_extend(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out);
HF_MUST_USE
int record_checkpoint(struct machine *m, const struct op_context *ctx, const void *request,
                      struct reply_out *out);
HF_MUST_USE
int record_complete(struct machine *m, const struct op_context *ctx, const void *request,
                    struct reply_out *out);
HF_MUST_USE
int record_resolve(struct machine *m, const struct op_context *ctx, const void *request,
                   struct reply_out *out);

/* REOPEN, ERASE. */
HF_MUST_USE
int record_reopen(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out);
HF_MUST_USE
int record_erase(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);

/** ABANDON of an attempt's token by the session that holds it.
 * \retval HF_ENOTFOUND it is no running attempt's; \retval HF_ENOTOWNER another session's. */
HF_MUST_USE
int record_abandon(struct machine *m, uint64_t session, uint64_t token);

/** A session has ended: attempts bound to it end their leases, in token order. */
HF_MUST_USE
int record_session_ended(struct machine *m, uint64_t session);

/* DEADLINE_ATTEMPT, DEADLINE_RETENTION, DEADLINE_TOMBSTONE. */
HF_MUST_USE
int record_attempt_due(struct machine *m, struct slice id);
HF_MUST_USE
int record_retention_due(struct machine *m, struct slice id);
HF_MUST_USE
int record_tombstone_due(struct machine *m, struct slice id);

/** What a page of records may look at, shown or not: some carry a body, and a leader waits. */
enum { RECORD_PAGE_ROWS_MAX = 4000, RECORD_PAGE_ROW_BYTES_MAX = 8 * 1024 * 1024 };

/** A record, whole, as RECORD_GET tells it `elapsed_ms` after the last entry; what it borrows is in
 * scratch. \retval HF_ENOTFOUND; faults. */
HF_MUST_USE
int record_show(struct machine *m, struct slice key, uint64_t elapsed_ms,
                struct msg_record_reply *reply);

/** What is left of one: likewise. \retval HF_ENOTFOUND; faults. */
HF_MUST_USE
int record_show_tombstone(struct machine *m, struct slice key, uint64_t elapsed_ms,
                          struct msg_record_reply *reply);

/** Has its state not changed for as long as is asked? */
bool record_is_old_enough(const struct machine *m, const struct msg_record_list *request,
                          uint64_t since_ms);

/** The first key of a page: behind its cursor, or the prefix. \param memory holds it. */
struct slice record_first_key(const struct msg_record_list *request,
                              uint8_t memory[NAME_BYTES_MAX + 1]);

/* RECORD_GET, RECORD_LIST and RECORD_EXPORT. */
HF_MUST_USE
int record_read(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int record_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);

/** Answer RECORD_EXPORT, as the reads above. Faults only. */
HF_MUST_USE
int record_export(struct machine *m, const void *request, uint64_t elapsed_ms,
                  struct reply_out *out);

#endif
