/* What a model of a service is: a state as bytes, and which operations fit it. The search
 * (jepsen/check/search.h) knows nothing else of a model; one more model is one more file and one
 * more line in model.c.
 *
 * A state is a canonical string of bytes: equal states are equal bytes. Time is in it only as what
 * was promised until when. That a lease lapsed is no step of its own: a step may find that it has
 * lapsed if `now_ns`, the latest moment at which the step can be, is not before what was promised;
 * put off until something shows it, a lapse is never wrong. */
#ifndef JEPSEN_CHECK_MODEL_H
#define JEPSEN_CHECK_MODEL_H

#include "jepsen/check/history.h"

enum { MODEL_STATE_BYTES_MAX = 8192 };

struct model_state {
    size_t size;                                      /**< bytes in use */
    _Alignas(8) uint8_t bytes[MODEL_STATE_BYTES_MAX]; /**< the model's */
};

/** What a step may look at beside state and operation. */
struct model_step {
    int64_t now_ns;                    /**< the latest moment at which this step can be */
    const struct history_clock *clock; /**< of the history */
    int variant;                       /**< 0, or of an op of unknown outcome 1: its other effect,
                                            if it may have two */
};

enum model_verdict {
    STEP_NO,      /**< the operation does not fit here */
    STEP_YES,     /**< it does */
    STEP_AT_ONCE, /**< it does, and what may still come fits as well behind it as before it */
    STEP_TOO_MUCH /**< the state would have more than MODEL_STATE_BYTES_MAX bytes */
};

/** The operations of one key, in order of their calls. */
struct key_history {
    const struct history *history; /**< of which it is a part */
    struct operation *operations;  /**< borrowed */
    size_t count;                  /**< of them */
};

/** A model is a table of functions. */
struct model {
    const char *name; /**< as --model wants it */

    /** The state before anything. */
    void (*init)(struct model_state *state);

    /** Does `op` fit into `state`? Then change `state`, a copy of the caller's; what it has after
     * STEP_NO is of no interest. An op of unknown outcome: what its effect would be; STEP_NO if it
     * would have none. */
    enum model_verdict (*step)(struct model_state *state, const struct operation *op,
                               const struct model_step *step);

    /** Leave out of the state what may be gone and what no operation that is still to come can
     * show: places that differ in nothing else become one. NULL: there is no such thing. */
    void (*tidy)(struct model_state *state, const struct model_step *step);

    /** Can an op of unknown outcome have no effect any more, from this state on, ever? */
    bool (*is_dead)(const struct model_state *state, const struct operation *op);

    /** May this op of known outcome, where it changes nothing, be needed for what it changes
     * further on? It gives something back, whether it was there or not. NULL: there is no such op.
     */
    bool (*may_wait)(const struct operation *op);

    /** Operations that can only be in the order of their ranks; 0 = no rank. */
    int64_t (*rank)(const struct operation *op);

    /** Leave out what can explain nothing, and set useful_until_ns. \param count In and out. */
    void (*prepare)(struct operation *operations, size_t *count);

    /** Look for what is surely wrong between keys, before any of them. NULL: there is no such
     * thing. \param complaint Out: a sentence, on false. */
    bool (*whole)(const struct history *h, struct buffer *complaint);

    /** Look for what is surely wrong in O(n log n). \param complaint Out: a sentence, on false. */
    bool (*quick)(const struct key_history *key, struct buffer *complaint);

    /** Append the state in words. */
    void (*describe)(const struct history *h, const struct model_state *state, struct buffer *out);
};

extern const struct model model_lock;      /**< leases, owners, shared grants, reentrance */
extern const struct model model_idem;      /**< attempts, completion, UNKNOWN, retention */
extern const struct model model_fencedreg; /**< a register behind a fencing token */

/** The model of that name, or NULL. */
const struct model *model_find(const char *name);

/** Append formatted text; what does not fit any more is left out. */
__attribute__((format(printf, 2, 3))) void model_say(struct buffer *out, const char *format, ...);

/** A moment of the history's clock, in seconds with nine digits, into `text`. \return text */
const char *model_time(int64_t ns, char text[32]);

/** The rank of operations that have none, and the `is_dead` of models where nothing dies. */
int64_t model_no_rank(const struct operation *op);

#endif
