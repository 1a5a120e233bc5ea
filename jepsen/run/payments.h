/* What became of each payment of a run, in memory that its callers share with the run, so that it
 * outlives them; and the account that is made of it at the end, against the ledgers of the guarded
 * resources: each payment that anybody began is completed, has exactly one effect, and is answered
 * with that effect. What does not hold is a failure of the run, with the payment's key.
 *
 * A payment is a number, which its key spells. A caller (a thread, over all its lives) may have
 * some under way, one of them in its hands, and comes back to each, also after its death, until it
 * is answered. */
#ifndef JEPSEN_RUN_PAYMENTS_H
#define JEPSEN_RUN_PAYMENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PAYMENTS_A_ROUND = 12, /* numbers of one round of a tenth of a second */
    PAYMENTS_MARKED = 3,   /* each third is paid by a provider under a mark, others from accounts */
    PAYMENTS_ACCOUNTS = 12,
    PAYMENTS_CALLERS = 24,
    PAYMENTS_UNDER_WAY = 8,
    PAYMENTS_SENTENCE_BYTES = 200,
    PAYMENTS_KEY_BYTES = 32,
};

/** What is known of a payment; bits. */
enum payment_mark {
    PAYMENT_BEGUN = 1,     /**< somebody was given it to run */
    PAYMENT_CUT = 2,       /**< a caller died that ran it */
    PAYMENT_UNSURE = 4,    /**< a call for it was not answered in time, or its caller died in it */
    PAYMENT_TAKEN = 8,     /**< taken over from a caller that was lost */
    PAYMENT_DECIDED = 16,  /**< its outcome was unknown, and looked up in the provider's ledger */
    PAYMENT_COMPLETED = 32 /**< the cluster says so at the end */
};

struct payment {
    _Atomic uint32_t marks; /**< enum payment_mark */
    uint32_t answer;        /**< what the cluster says of it at the end; 0 = nothing */
    uint32_t effects;       /**< in the ledgers; counted at the end */
    uint32_t effect;        /**< the last one's value */
};

/** A thread of a client, over its lives. */
struct payment_caller {
    _Atomic uint64_t under_way[PAYMENTS_UNDER_WAY]; /**< number + 1; 0 = none */
    _Atomic uint64_t asks;                          /**< number + 1 of the one in its hands, or 0 */
    _Atomic int runs;                               /**< 1: it was given that one to run */
};

struct payments {
    uint64_t room;                                   /**< numbers below it */
    _Atomic uint64_t late_writes;                    /**< writes that a resource refused */
    struct payment_caller callers[PAYMENTS_CALLERS]; /**< by thread */
    struct payment list[];                           /**< by number */
};

/** The run's sums. */
struct payments_account {
    uint64_t begun;          /**< payments that anybody was given */
    uint64_t cut;            /**< of these: a caller died that ran it */
    uint64_t unsure;         /**< of these: outcome unknown to a caller for a while, or for ever */
    uint64_t resolved_later; /**< of those that were cut or unsure: completed at the end */
    uint64_t taken;          /**< of the begun: taken over at least once */
    uint64_t decided;        /**< of the begun: UNKNOWN, and resolved */
    uint64_t completed;      /**< of the begun */
    uint64_t effects;        /**< in the ledgers, of all keys */
    uint64_t doubles;        /**< payments with more than one effect */
    uint64_t wrong;          /**< claims that fail; the first ones were told */
};

/** Memory for the numbers that may be drawn within so many seconds, to be given up with
 * payments_close(). \return NULL: there is none. */
struct payments *payments_open(uint64_t seconds);

/** NULL is accepted. */
void payments_close(struct payments *p);

/** A payment's key. \return `out`. */
const char *payments_key(uint64_t number, char out[PAYMENTS_KEY_BYTES]);

/** The number that a key spells. \return false: none of ours. */
bool payments_number(const char *key, uint64_t *number);

/** Which account it is paid from. Not for marked ones. \return `out`. */
const char *payments_account_name(unsigned which, char out[PAYMENTS_KEY_BYTES]);

/** The provider's ledger. Static. */
const char *payments_provider(void);

/** Is it paid by the provider, under a mark? */
bool payments_is_marked(uint64_t number);

/** Add a bit. \param mark enum payment_mark. */
void payments_mark(struct payments *p, uint64_t number, unsigned mark);

/** The caller's process has died. \param in_call  with a call under way. */
void payments_caller_died(struct payments *p, unsigned caller, bool in_call);

/** Sum up, when nobody writes any more. \param folder  of the resources. \param fail  called with
 * a sentence for each claim that does not hold. \param sums  Out. */
void payments_sum_up(struct payments *p, const char *folder,
                     void (*fail)(void *data, const char *sentence), void *data,
                     struct payments_account *sums);

#endif
