/* What the contract says of a record's life, written down a second time, plainly: no rows, no
 * deadlines, no queues on disk. The random test does the same to the machine and compares. */
#ifndef TESTS_UNIT_RECORDS_RECORD_MODEL_H
#define TESTS_UNIT_RECORDS_RECORD_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/messages.h"

enum { MODEL_KEYS = 3, MODEL_SESSIONS = 4, MODEL_WAITERS_MAX = 256, MODEL_WOKEN_MAX = 1024 };

struct model_session {
    uint64_t id;         /**< the machine's; 0 = none, or ended */
    uint64_t ttl_ms;     /**< asked for */
    uint64_t expires_ms; /**< cluster time */
};

struct model_waiter {
    uint64_t session;  /**< whose */
    uint64_t seq;      /**< its BEGIN */
    uint64_t until_ms; /**< cluster time */
    uint64_t lease_ms; /**< that it wants; 0 = bound */
};

struct model_record {
    uint64_t state;                                 /**< enum record_state, TOMBSTONE too */
    bool lapsed;                                    /**< RUNNING past its lease */
    bool marked;                                    /**< a mark was ever made */
    uint64_t mark;                                  /**< open; enum external_mark */
    uint64_t outcome;                               /**< DONE or FAILED, TOMBSTONE too; else 0 */
    bool erased;                                    /**< its result was dropped */
    uint64_t policy;                                /**< of the first BEGIN */
    uint64_t token;                                 /**< of the last attempt */
    uint64_t attempt;                               /**< from 1 */
    uint64_t owner;                                 /**< session of the last attempt */
    bool bound;                                     /**< lives as long as its owner */
    uint64_t lease_until_ms;                        /**< if not bound */
    uint64_t since_ms;                              /**< last change of state, or lapse */
    uint64_t number;                                /**< of the last checkpoint */
    bool said;                                      /**< the attempt completed itself */
    uint64_t said_outcome;                          /**< what it said */
    uint64_t said_body;                             /**< likewise */
    uint64_t late[4];                               /**< tokens that completed too late */
    uint32_t late_count;                            /**< of them */
    struct model_waiter waiters[MODEL_WAITERS_MAX]; /**< in order */
    uint32_t waiter_count;                          /**< of them */
};

/** What the machine should say; fields that do not apply are 0. */
struct model_answer {
    int status;       /**< the wanted one */
    int or_status;    /**< as good: both happen in one sweep, in an order of no meaning */
    bool parked;      /**< no answer yet */
    uint64_t session; /**< of one that was woken */
    uint64_t seq;     /**< likewise */
    uint64_t verdict; /**< of BEGIN */
    bool erased;      /**< REPLAY: without what was told */
    uint64_t token;   /**< of STARTED and TAKEOVER */
    uint64_t left_ms; /**< of EXTEND */
};

struct model {
    uint64_t now_ms;                               /**< cluster time */
    uint64_t retain_ms;                            /**< of all records */
    uint64_t token_counter;                        /**< last one issued */
    struct model_session sessions[MODEL_SESSIONS]; /**< alive */
    struct model_record records[MODEL_KEYS];       /**< by number, which is their order by name */
    struct model_answer woken[MODEL_WOKEN_MAX];    /**< since the caller emptied it */
    uint32_t woken_count;                          /**< of them */
};

struct model_answer model_begin(struct model *m, int key, uint64_t session, uint64_t seq,
                                const struct msg_begin *begin, bool other_fingerprint);
struct model_answer model_extend(struct model *m, int key, uint64_t token, uint64_t lease_ms);
struct model_answer model_checkpoint(struct model *m, int key, uint64_t token, uint64_t number,
                                     uint64_t mark);
struct model_answer model_complete(struct model *m, int key, uint64_t token, uint64_t outcome,
                                   uint64_t body);
struct model_answer model_resolve(struct model *m, int key, uint64_t token, uint64_t outcome);
struct model_answer model_reopen(struct model *m, int key, uint64_t token, uint64_t outcome);
struct model_answer model_erase(struct model *m, int key);
struct model_answer model_abandon(struct model *m, uint64_t session, uint64_t token);
struct model_answer model_cancel(struct model *m, uint64_t session, uint64_t seq);
void model_close(struct model *m, uint64_t session);
void model_pass(struct model *m, uint64_t ms);

#endif
