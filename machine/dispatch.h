/* The tables that tie ops and deadlines to the code that owns them: who applies an op, who answers
 * its retry, who ends its wait, who serves a queue, who sweeps a deadline. A new op or deadline
 * kind is a line in machine/dispatch.c. */
#ifndef MACHINE_DISPATCH_H
#define MACHINE_DISPATCH_H

#include "machine/parked.h"
#include "machine/state.h"

/** What a handler knows of its op. All is borrowed until the handler returns. */
struct op_context {
    uint16_t op;                     /**< enum op_code */
    const struct envelope *envelope; /**< session, seq, peer, traceparent, ... */
    struct slice body;               /**< the request's bytes as they stand in the log */
    struct hash128 hash;             /**< of op and body, for OP_NUMBERED */
};

/** What a handler answers. Set it with reply_set() and the fields below; or park the request. */
struct reply_out {
    int status;            /**< HF_OK or an answer */
    bool parked;           /**< parked_put() was called: the answer comes later */
    struct buffer *body;   /**< the encoded answer */
    struct buffer *stored; /**< size > 0: what is stored for a retry instead of the body */
    uint64_t token;        /**< grant or attempt that it tells of, for REPLY_STANDS; 0 = none */
    struct slice key;      /**< record that it tells of; empty = none; stored with the reply */
    bool stands;           /**< of a repeat: that grant or attempt is still current */
};

/** Encode an answer: emptied body, then `detail`, a struct of op_reply_type(op, status). NULL for
 * those whose type is msg_empty. Faults only. */
HF_MUST_USE
int reply_set(struct reply_out *out, uint16_t op, int status, const void *detail);

/** BAD_REQUEST for what only the state can tell. \param sentence static, <= 255 bytes. */
HF_MUST_USE
int reply_complain(struct reply_out *out, uint16_t op, const char *sentence);

/** Who owns an op inside the machine. Functions return faults only; answers go into `out`. */
struct op_owner {
    /** Apply it. The session, where the op wants one, is alive and renewed, m->session_id is it.
     * \param request the decoded struct. */
    int (*apply)(struct machine *m, const struct op_context *ctx, const void *request,
                 struct reply_out *out);
    /** Answer a retry or a CANCEL of an answered one: set out->stands, and the body if what is
     * stored is only its fixed part (out->body holds the stored bytes). NULL: as stored. */
    int (*repeat)(struct machine *m, uint64_t session, const struct row_reply *stored,
                  struct reply_out *out);
    /** The wait of a parked one is over by time: set the answer. */
    int (*wait_over)(struct machine *m, const struct parked *p, struct reply_out *out);
    /** A parked one leaves without being served (time, CANCEL, its session's end): correct the
     * counts of what it waited for, and serve_mark() it. Its parked and queue rows are gone. */
    int (*left)(struct machine *m, const struct parked *p);
    /** Answer a read; see machine_read(). */
    int (*read)(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
};

/** The owner of an op, or NULL: not built. Static. */
const struct op_owner *op_owner_find(uint16_t op);

/* Phases of a sweep, docs/contract.md section 1. */
enum sweep_phase { SWEEP_LEAVE, SWEEP_GRANTS, SWEEP_ATTEMPTS, SWEEP_REST, SWEEP_PHASES };

/** Who sweeps a kind of deadline. */
struct deadline_owner {
    enum sweep_phase phase; /**< when, within a sweep */
    /** The row (at_ms, kind, id) was due and is gone. It was a lower bound: look at the real
     * deadline, and put a new row if that is later. What it tells of may be gone, too. */
    int (*due)(struct machine *m, struct slice id);
};

/** Static; asserts that the kind is known. */
const struct deadline_owner *deadline_owner_find(enum deadline_kind kind);

/** Phase (c) of a session's end: attempts bound to it end by their takeover policies. */
HF_MUST_USE
int dispatch_session_ended(struct machine *m, uint64_t session);

/** Serve one queue, as far as m->grants_left goes. \retval HF_ETOOBUSY the budget ended with more
 * to do; faults. \param table TABLE_LOCKS or TABLE_RECORDS. */
HF_MUST_USE
int dispatch_serve(struct machine *m, enum machine_table table, struct slice name);

/** ABANDON of a token that is no grant's: an attempt that this session began ends its lease now.
 * \retval HF_ENOTFOUND it is no current attempt's token; \retval HF_ENOTOWNER another session's. */
HF_MUST_USE
int dispatch_abandon_attempt(struct machine *m, uint64_t session, uint64_t token);

#endif
