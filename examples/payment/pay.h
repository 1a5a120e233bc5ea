/* One payment, done once. This is the example's heart: examples/payment/README.md explains why each
 * step stands where it does. It uses the public interface of holdfast and nothing else. */
#ifndef EXAMPLES_PAYMENT_PAY_H
#define EXAMPLES_PAYMENT_PAY_H

#include <holdfast.h>

#include "examples/payment/ledger.h"

/** What the demonstration does to a worker at chosen moments; 0 = nothing. */
struct mishaps {
    int die_after_move;    /**< kill -9 itself behind its n-th move, before anybody is told */
    int stop_before_write; /**< stop itself before its n-th move, behind all checks */
    void (*asleep_cb)(const struct payment *p, uint64_t token,
                      void *data); /**< told right before */
    void *data;                    /**< handed to it */
};

struct payer {
    hf_client *client;      /**< the session with the cluster */
    struct ledger *ledger;  /**< where the money is */
    struct mishaps mishaps; /**< for the demonstration */
    int moves;              /**< tried so far */
    int fenced;             /**< writes that the guard refused */
    int resolved;           /**< records found UNKNOWN and decided */
    int taken_over;         /**< attempts of dead workers that were finished */
};

/** How a payment was answered. */
enum paid {
    PAID,     /**< the money was moved by this very call */
    REPLAYED, /**< it had been moved before: the stored receipt */
    REFUSED,  /**< the id was used before for another payment */
    DECLINED, /**< the account holds too little; every repeat gets this same answer */
};

/** Pay. Blocks until there is an answer, through restarts of servers; ends the process with a
 * sentence on what no repetition can mend. \param receipt  Out, RECEIPT_BYTES; "" if there is none.
 */
enum paid pay(struct payer *payer, const struct payment *p, char *receipt);

#endif
