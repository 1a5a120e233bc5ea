/* What the clients of a run do. A workload is one file and one line of workload_table; each thread
 * of each client process repeats its `turn` until the run calms down, and at the very end one
 * thread reads every key. Only the public library is used. */
#ifndef JEPSEN_RUN_WORKLOAD_H
#define JEPSEN_RUN_WORKLOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/prng.h"
#include "client/include/holdfast.h"
#include "jepsen/journal.h"
#include "jepsen/run/lease.h"
#include "jepsen/run/payments.h"
#include "jepsen/run/run.h"
#include "jepsen/run/tape.h"

enum {
    WORKLOAD_TTL_MS = 2000,     /* of a client's session */
    WORKLOAD_TIMEOUT_MS = 1000, /* of one call, which is then asked again */
    WORKLOAD_THREADS = 3,       /* of a client process */
    WORKLOAD_NAME_BYTES = 40,
    WORKER_NAMES_MAX = 5,
};

/** The checker's models, by which a history's lines are told apart. */
#define WORKLOAD_LOCK      "lock"
#define WORKLOAD_IDEM      "idem"
#define WORKLOAD_FENCEDREG "fencedreg"

enum phase { PHASE_RUN, PHASE_CALM, PHASE_OVER };

/** What the run tells its clients, in memory shared by all. */
struct workload_signal {
    _Atomic int phase; /**< enum phase: CALM = finish what is open and end; OVER = now */
    _Atomic int holding[RUN_CLIENTS_MAX]; /**< grants and attempts of each client process */
    _Atomic uint64_t answered;            /**< operations with a known end so far, of all */
    struct lease_counts leases;           /**< what was given, and what ended early */
};

/** One thread of a client. */
struct worker {
    hf_client *client;                    /**< shared by the process' threads; borrowed */
    hf_lock *lock;                        /**< its owner; owned */
    struct workload_signal *signal;       /**< borrowed */
    struct tape *tape;                    /**< where its lines go; borrowed */
    struct payments *payments;            /**< shared by all; borrowed */
    struct payment_caller *caller;        /**< this thread's of them; NULL for the last reader */
    bool unsure;                          /**< set by a call of unknown outcome, for a while too */
    struct prng prng;                     /**< what it draws from */
    uint64_t first_id;                    /**< of its operations */
    uint64_t begun_ns;                    /**< of the run, equal in all processes */
    _Atomic int *holding;                 /**< its process' count in `signal` */
    struct lease grant;                   /**< the lock that it holds */
    struct lease nested;                  /**< one that it acquired while it held that */
    unsigned held;                        /**< how many grants it has */
    struct lease attempt;                 /**< the record that it runs */
    unsigned owner;                       /**< rises when the end of a grant is unsure */
    char name[WORKLOAD_NAME_BYTES];       /**< "c1t2"; "c1t2.3" after the third death */
    char owner_name[WORKLOAD_NAME_BYTES]; /**< "c1t2/0": an owner in the models' sense */
};

struct workload {
    const char *name;                   /**< as --workload wants it */
    const char *models[4];              /**< whose lines it writes; ends with NULL */
    void (*turn)(struct worker *w);     /**< a few operations; returns with nothing held */
    void (*finish)(struct worker *w);   /**< end what is open, in the calm; may be NULL */
    void (*read_all)(struct worker *w); /**< reads every key that any turn may have touched */
};

extern const struct workload workload_lock, workload_record, workload_payment;
extern const struct workload workload_permits, workload_several, workload_modes;
extern const struct workload workload_reopen;
extern const struct workload *const workload_table[]; /**< ends with NULL */

/** What a client process is told. */
struct workload_process {
    const struct workload *workload; /**< borrowed */
    struct workload_signal *signal;  /**< shared; borrowed */
    const char *servers;             /**< as hf_options wants them; borrowed */
    struct tape *tapes;              /**< of its threads, WORKLOAD_THREADS; shared; borrowed */
    struct payments *payments;       /**< shared by all; borrowed */
    uint64_t seed;                   /**< the run's */
    uint64_t begun_ns;               /**< CLOCK_MONOTONIC of the run's begin */
    unsigned number;                 /**< from 1 */
    unsigned life;                   /**< how often it was killed before */
    bool reads_all;                  /**< read every key instead of taking turns */
};

/** A client process' life. \param data a struct workload_process. \return its exit code. */
HF_MUST_USE
int workload_run(void *data);

/* ------------------------------------------------------------------ for the workloads */

/** Begin an operation: what will be its line. */
void worker_begin(struct worker *w, struct journal_line *line, const char *model, const char *op,
                  const char *key);

/** Call it now, with the arguments that it shall have in the history if the caller dies. */
void worker_call(struct worker *w, struct journal_line *line);

/** End it and write it. \param error with JOURNAL_FAIL, else NULL. */
void worker_end(struct worker *w, struct journal_line *line, enum journal_outcome outcome,
                const char *error);

/** End an operation with a status that is no answer of its model: what it proves of all is the
 * same. A status that no client should ever see ends the process with a sentence. */
void worker_end_status(struct worker *w, struct journal_line *line, int status);

/** The same of what may bring a grant or an attempt. To these HF_ESESSION does not say that nothing
 * was done: what waited may have been served, and lost with the session before anybody heard of it.
 */
void worker_end_status_of_grant(struct worker *w, struct journal_line *line, int status);

/** A belief as a lease that counts from the call: `left_ms` at `asked_ns`. */
uint64_t worker_lease_from_call_ms(const struct journal_line *line, uint64_t asked_ns,
                                   uint64_t left_ms);

/** The answer to what was asked under a lease, just now: does it say that the lease is over? */
void worker_look_at_lease(struct worker *w, struct lease *lease, const struct journal_line *line,
                          uint64_t token, int status);

/** Ask again, under its number, a request of unknown outcome, until it has an answer or the run is
 * over. \return the last status. */
HF_MUST_USE
int worker_settle(struct worker *w, int status, hf_request *request);

/** A loss that the library tells on its own thread: one of this worker's, or none.
 * \param heard_ns  read after it was told. */
void worker_lost(struct worker *w, const hf_loss *loss, uint64_t heard_ns);

/** From now on it is another owner in the models' sense: the last one may hold something still. */
void worker_new_owner(struct worker *w);

/** A number that no other operation of the run has: the last one's id, below 2^32. */
uint64_t worker_number(const struct worker *w);

/** Wait, in pieces, and less in the calm. */
void worker_pause_ms(const struct worker *w, uint64_t ms);

/** False once the run calms down. */
bool worker_may_go_on(const struct worker *w);

/* Operations that more than one workload uses; each writes its lines. */

/** What is asked for in one call: one name, or several at once. Zero it, then set what is needed.
 */
struct worker_want {
    const char *names[WORKER_NAMES_MAX]; /**< borrowed; each once */
    unsigned name_count;                 /**< of them, at least 1 */
    uint64_t wait_ms;                    /**< 0 = try once */
    int mode;                            /**< enum hf_mode */
    uint32_t permits;                    /**< HF_PERMITS: how many */
    uint32_t limit;                      /**< likewise: of how many */
    bool nested;                         /**< asked for while something else is held */
};

/** ACQUIRE. \return HF_OK with a grant, or anything else without one. */
HF_MUST_USE
int worker_acquire(struct worker *w, const struct worker_want *want, hf_grant *grant);

/** Write down what the library believes of a grant now, as a renewal in the model's sense.
 * \return false: it does not believe in it. */
bool worker_believe(struct worker *w, const struct worker_want *want, const hf_grant *grant);

/** Hold it for a while: believe in it every LOOK_EVERY_MS of `ms`. */
void worker_hold(struct worker *w, const struct worker_want *want, const hf_grant *grant,
                 uint64_t ms);

/** Mostly short; one in a hundred up to twice the lease. */
uint64_t worker_draw_hold_ms(struct worker *w);

/** UPGRADE or DOWNGRADE. \return HF_OK: it has that mode now. */
HF_MUST_USE
int worker_change_mode(struct worker *w, const struct worker_want *want, const hf_grant *grant,
                       bool upgrade);

/** RELEASE. */
void worker_release(struct worker *w, const struct worker_want *want, hf_grant *grant);

/** Who holds it? */
void worker_query(struct worker *w, const char *key);

/* Guarded resources (guard.h), of any workload. */

/** Begin to write `value` under a token. */
void worker_begin_write(struct worker *w, struct journal_line *line, const char *key,
                        uint64_t token, uint64_t value);

/** End it. \param good  the resource took it. \return good */
bool worker_end_write(struct worker *w, struct journal_line *line, bool good);

/** What stands in the resource? */
void worker_read(struct worker *w, const char *key);

/** Write to the resource of each name, under an exclusive grant that is believed in. If one refuses
 * its token although nobody else can have had it meanwhile, its lease ended early: see lease.h. */
void worker_touch(struct worker *w, const struct worker_want *want, const hf_grant *grant);

/** Enter the room (room.h) of a name that has `limit` permits, for as long as the grant is believed
 * in: under all of them if it is exclusive. If more are believed in then than there are, some
 * lease ended early: see lease.h. */
void worker_enter(struct worker *w, const struct worker_want *want, const hf_grant *grant,
                  uint64_t limit);

/** Leave it, before the release. */
void worker_leave(const struct worker_want *want, const hf_grant *grant);

/** What worker_record_begin() returns where there is no verdict. */
enum { WORKER_NO_VERDICT = -1, WORKER_MUST_DECIDE = -2 /**< the record is UNKNOWN */ };

/** BEGIN. \param record  Out: owned, also for a replay; NULL if there is none. \return the
 * verdict, enum hf_verdict, or one of the above. */
HF_MUST_USE
int worker_record_begin(struct worker *w, const char *key, const struct hf_begin *how,
                        hf_record **record);

/** CHECKPOINT. \param mark enum hf_mark. \return HF_OK or why it must stop. */
HF_MUST_USE
int worker_record_checkpoint(struct worker *w, const char *key, hf_record *record, uint64_t number,
                             int mark);

/** COMPLETE as done or as failed, with `response` as result, and free the record. \return true if
 * it stands. */
bool worker_record_complete(struct worker *w, const char *key, hf_record *record, bool failed,
                            uint64_t response);

/** REOPEN what has failed under this token. \return true if it was this that reopened it. */
bool worker_record_reopen(struct worker *w, const char *key, uint64_t token);

/** Give an attempt up and free the record. */
void worker_record_abandon(struct worker *w, const char *key, hf_record *record);

/** ERASE, whatever comes of it. */
void worker_record_erase(struct worker *w, const char *key);

/** What a record shows of itself. */
struct worker_shown {
    const char *status; /**< the format's word; static */
    bool failed;        /**< "completed" or "expired": it was not done */
    uint32_t code;      /**< its response, if "completed" */
    uint64_t token;     /**< its last attempt's */
};

/** What is stored of a key? \param shown  Out. \return false: no answer, it shows nothing. */
bool worker_record_get(struct worker *w, const char *key, struct worker_shown *shown);

/** RESOLVE an UNKNOWN record: done with `response`, or retryable if that is 0. \return true if it
 * was this that resolved it. */
bool worker_record_resolve(struct worker *w, const char *key, uint64_t token, uint64_t response);

/** Keys of records: a few at a time, others every tenth of a second.
 * \param round  0 to worker_rounds(). \param which  0 to 2. \return `out`. */
const char *worker_record_key(const char *prefix, uint64_t round, unsigned which,
                              char out[WORKLOAD_NAME_BYTES]);

/** The round that is on now, from 0. */
uint64_t worker_rounds(const struct worker *w);

#endif
