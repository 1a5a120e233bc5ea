/* An order with a time-out: paid in time or expired, never both and never neither. This is the
 * example's heart: examples/order/README.md explains why each step stands where it does. It uses
 * the public interface of holdfast and nothing else.
 *
 * Each function may be called again, after a death or at the same time, by anybody. They block
 * through restarts of servers and end the process with a sentence on what no repetition mends. */
#ifndef EXAMPLES_ORDER_ORDER_H
#define EXAMPLES_ORDER_ORDER_H

#include <holdfast_timer.h>

#include "examples/order/ledger.h"

enum { SHOP_NAME_BYTES = 64, EXPIRE_COUNT_MAX = 16 };

struct shop {
    hf_client *client;          /**< the session with the cluster */
    struct ledger *ledger;      /**< borrowed */
    char name[SHOP_NAME_BYTES]; /**< begins its timers' keys; its group */
    uint64_t delay_ms;          /**< how long an order may stay unpaid */
    uint64_t lease_ms;          /**< of a delivery: how long the others wait for one who dies */
    int expired;                /**< deliveries that expired an order, or found it expired */
    int again;                  /**< of those: not the first delivery of their timer */
    int fenced;                 /**< deliveries that came too late to write */
    void (*step_cb)(const char *step, const char *id, void *data); /**< told of each step */
    void *data;                                                    /**< handed to it */
};

enum payment {
    PAYMENT_MADE,    /**< the order is paid; every later call says the same */
    PAYMENT_EXPIRED, /**< it came too late: the account has its money back; likewise */
    PAYMENT_FUNDS,   /**< too little money: nothing changed, the time-out stands */
};

/** Place an order and set its time-out. \return until then, in ms; 0: it is over, or called off. */
uint64_t order_place(struct shop *shop, const struct order *order);

/** How long until an order's time-out; it is set if it was not. \return as order_place(). */
uint64_t order_left_ms(struct shop *shop, const char *id);

/** Pay an order that was placed. */
enum payment order_pay(struct shop *shop, const char *id);

/** Expire orders whose time-out is delivered now, or within wait_ms.
 * \return how many deliveries came. */
size_t order_expire(struct shop *shop, uint64_t wait_ms);

#endif
