/* A machine over a memory store, entries built op by op, and every answer it gave. After each
 * entry the invariants are checked. A second machine may be fed the same entries; after each its
 * digest must be the same. */
#ifndef TESTS_UNIT_MACHINE_FIXTURE_H
#define TESTS_UNIT_MACHINE_FIXTURE_H

#include "base/arena.h"
#include "machine/machine.h"
#include "protocol/frame.h"
#include "storage/store.h"

enum { ANSWERS_MAX = 8192, FIXTURE_ARENA_BYTES = 64 * 1024 * 1024 };

enum answer_kind { ANSWER_REPLY, ANSWER_PARKED, ANSWER_WOKEN };

struct answer {
    enum answer_kind kind; /**< which callback brought it */
    uint32_t position;     /**< of the op, but for ANSWER_WOKEN */
    uint64_t session;      /**< ANSWER_WOKEN only */
    uint64_t seq;          /**< likewise */
    int status;            /**< of the reply */
    uint8_t flags;         /**< likewise */
    struct slice body;     /**< likewise; in the fixture's arena */
};

struct fixture {
    struct store *store;                /**< owned */
    struct machine *m;                  /**< owned */
    struct store *twin_store;           /**< owned; NULL = no second machine */
    struct machine *twin;               /**< owned */
    uint64_t now_ms;                    /**< cluster time of the next entry */
    uint64_t wall_ms;                   /**< wall clock of the next entry */
    uint16_t flags;                     /**< of every entry: enum entry_flags */
    struct buffer entry;                /**< being built, or the last one */
    uint32_t op_count;                  /**< in it */
    struct answer answers[ANSWERS_MAX]; /**< of the last entry, in the order they came */
    uint32_t answer_count;              /**< in use */
    uint32_t overdue_count;             /**< alarms of REVOKE so far */
    uint32_t ready_count;               /**< timers that became ready so far, as was told */
    uint32_t event_count;               /**< events so far, as was told */
    struct arena arena;                 /**< bodies and decoded answers; emptied by each entry */
    struct buffer complaint;            /**< of the invariants */
    bool unchecked;                     /**< do not check the invariants: the test is too large */
};

/* cmocka's setup and teardown: *state is the fixture, at cluster time 1,000,000. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/** Feed a second machine from here on; the first must be fresh. */
void fixture_add_twin(struct fixture *f);

/** Add an op to the entry. \return its position */
uint32_t add_op(struct fixture *f, uint16_t op, const struct envelope *envelope,
                const void *request);

/** Close and apply the entry (maybe empty) at now_ms; forget earlier answers. */
void apply_entry(struct fixture *f);

/** Apply one op alone. \return its answer, or parked; borrowed until the next entry */
const struct answer *call_with(struct fixture *f, uint16_t op, const struct envelope *envelope,
                               const void *request);

/** The same with an envelope of session and seq, renews = 1. */
const struct answer *call(struct fixture *f, uint16_t op, uint64_t session, uint64_t seq,
                          const void *request);

/** Let time pass and sweep until nothing is due. Answers of all entries are kept. */
void pass(struct fixture *f, uint64_t ms);

/** Decode an answer's body. \param out a struct of op_reply_type(op, status) */
void read_body(struct fixture *f, uint16_t op, const struct answer *answer, void *out);

/** The answer that a parked request was woken with in the last entry or pass(); NULL = none. */
const struct answer *find_woken(struct fixture *f, uint64_t session, uint64_t seq);

/** A read, its answer decoded into `out`; fails the test if the status is not HF_OK. */
void read_ok(struct fixture *f, uint16_t op, const void *request, uint64_t elapsed_ms, void *out);

/* ------------------------------------------------------------------ requests */

/** OPEN with a secret made of `name`, meta "m"; fails the test if it is refused. */
uint64_t open_session(struct fixture *f, const char *name, uint64_t ttl_ms);

/** What ACQUIRE asks for; the rest is zero. */
struct want {
    const char *name;     /**< of the lock */
    const char *also[4];  /**< further ones, rising by bytes; NULL = no more */
    uint64_t owner;       /**< not 0 */
    uint64_t mode;        /**< enum lock_mode */
    uint64_t permits;     /**< of MODE_PERMITS */
    uint64_t limit;       /**< likewise */
    uint64_t wait_ms;     /**< 0 = do not wait */
    uint64_t hold_max_ms; /**< 0 = none */
    uint64_t delay_ms;    /**< lock-delay */
    uint64_t reentrant;   /**< 0, 1 */
};
const struct answer *acquire(struct fixture *f, uint64_t session, uint64_t seq, struct want want);

/** ACQUIRE that must be granted at once. \return the token */
uint64_t acquire_ok(struct fixture *f, uint64_t session, uint64_t seq, struct want want);

/** ACQUIRE. \return its status, or ACQUIRE_WAITS */
enum { ACQUIRE_WAITS = 1 };
int acquire_status(struct fixture *f, uint64_t session, uint64_t seq, struct want want);

/** Add such an ACQUIRE to the entry. */
uint32_t add_acquire(struct fixture *f, uint64_t session, uint64_t seq, struct want want);

/** The token of a GRANTED answer; fails the test if it is none. */
uint64_t granted_token(struct fixture *f, const struct answer *answer);

/** RELEASE; `name` may be NULL. \return its status */
int release(struct fixture *f, uint64_t session, uint64_t seq, const char *name, uint64_t token,
            uint64_t owner);

/** DOWNGRADE or UPGRADE by token. \return its status */
int change_mode(struct fixture *f, uint16_t op, uint64_t session, uint64_t seq, uint64_t token,
                uint64_t owner);

int keep(struct fixture *f, uint64_t session);
int abandon(struct fixture *f, uint64_t session, uint64_t token);
const struct answer *cancel(struct fixture *f, uint64_t session, uint64_t target_seq);
int close_session(struct fixture *f, uint64_t session, uint64_t seq);

/** INFO of a lock. */
struct msg_info_reply info_of(struct fixture *f, const char *name);

/** Holders and length of the queue of a lock. */
uint64_t holders_of(struct fixture *f, const char *name);
uint64_t queue_of(struct fixture *f, const char *name);

#endif
