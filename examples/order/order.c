/* See the header. The answer to the timer's cancel is the arbiter between a payment and the
 * time-out; the ledger only writes down what was decided. */
#include "examples/order/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    VERSION = 1,
    ATTEMPTS_MAX = 1000000, /* an expiry can always be done: never give it up */
    KEY_BYTES = SHOP_NAME_BYTES + ORDER_ID_BYTES + 1,
    PAUSE_US = 20000, /* before something is asked again */
};

/* What repetition does not mend is a defect of the program or its configuration: stop. */
static void stop_on(int status, const char *what, const char *id)
{
    fprintf(stderr, "order: cannot %s %s: %s (%s)\n", what, id, hf_status_text(status),
            hf_status_name(status));
    exit(1);
}

/* Statuses that pass by themselves: ask anew. */
static int is_passing(int status)
{
    switch (status) {
    case HF_ECONNECT:
    case HF_EBREAKER:
    case HF_ENOTLEADER:
    case HF_ESHUTDOWN:
    case HF_ETOOBUSY:
    case HF_EUNACKED:
    case HF_ETIMEOUT:
    case HF_ESESSION:
    case HF_EREPLYGONE:
    case HF_ECANCELLED: return 1;
    default: return 0;
    }
}

/* "It may or may not have happened" is not an answer: ask again under the same number until one
 * comes. \return 1: ask anew, after a pause; 0: *status is an answer. */
static int is_open(int *status, hf_request *request)
{
    while (*status == HF_EUNKNOWN) *status = hf_request_retry(request);
    if (!is_passing(*status)) return 0;
    (void)usleep(PAUSE_US);
    return 1;
}

static void tell_step(struct shop *shop, const char *step, const char *id)
{
    if (shop->step_cb != NULL) shop->step_cb(step, id, shop->data);
}

static void key_of(char out[KEY_BYTES], const struct shop *shop, const char *id)
{
    (void)snprintf(out, KEY_BYTES, "%s/%s", shop->name, id);
}

/* ------------------------------------------------------------------ placing */

/* The same version again changes nothing, so whoever finds an order without a timer may set it. */
uint64_t order_left_ms(struct shop *shop, const char *id)
{
    char key[KEY_BYTES];
    hf_timer_view view = {.left_ms = 0};
    hf_request request = {.id = 0};
    const hf_timer timer = {.group = shop->name,
                            .delay_ms = shop->delay_ms,
                            .version = VERSION,
                            .attempts_max = ATTEMPTS_MAX,
                            .payload = id,
                            .payload_bytes = strlen(id)};
    int rv = 0;
    key_of(key, shop, id);
    do rv = hf_timer_set(shop->client, key, &timer, &view, &request);
    while (is_open(&rv, &request));
    if (rv != HF_OK && rv != HF_EFIRED && rv != HF_ETIMERCANCELLED) stop_on(rv, "time", id);
    return rv == HF_OK ? view.left_ms : 0;
}

uint64_t order_place(struct shop *shop, const struct order *order)
{
    /* The ledger first: a time-out that is delivered finds its order. */
    ledger_place(shop->ledger, order);
    tell_step(shop, "place-noted", order->id);
    uint64_t left_ms = order_left_ms(shop, order->id);
    tell_step(shop, "place-timed", order->id);
    return left_ms;
}

/* ------------------------------------------------------------------ paying */

/* \return 1: the time-out is called off; 0: it has fired. Nobody is ever told the other. */
static int came_in_time(struct shop *shop, const char *id)
{
    char key[KEY_BYTES];
    key_of(key, shop, id);
    for (;;) {
        hf_request request = {.id = 0};
        int rv = hf_timer_cancel(shop->client, key, NULL, &request);
        if (is_open(&rv, &request)) continue;
        if (rv == HF_OK) return 1;
        if (rv == HF_EFIRED) return 0;
        if (rv != HF_ENOTFOUND) stop_on(rv, "pay", id);
        (void)order_left_ms(shop, id); /* whoever placed it has died in between */
    }
}

enum payment order_pay(struct shop *shop, const char *id)
{
    enum order_state state = ORDER_OPEN;
    /* Whatever may be refused comes before the arbiter: once it has spoken, the payment is made. */
    if (!ledger_hold(shop->ledger, id, &state)) return PAYMENT_FUNDS;
    if (state != ORDER_OPEN) return state == ORDER_PAID ? PAYMENT_MADE : PAYMENT_EXPIRED;
    tell_step(shop, "pay-held", id);

    int in_time = came_in_time(shop, id);
    tell_step(shop, "pay-decided", id);
    if (!in_time) {
        ledger_give_back(shop->ledger, id);
        tell_step(shop, "pay-refused", id);
        return PAYMENT_EXPIRED;
    }
    if (!ledger_book(shop->ledger, id)) stop_on(HF_EFIRED, "book the payment of", id);
    tell_step(shop, "pay-booked", id);
    return PAYMENT_MADE;
}

/* ------------------------------------------------------------------ expiring */

static void acknowledge(struct shop *shop, const hf_timer_delivery *delivery, const char *id)
{
    hf_request request = {.id = 0};
    int rv = 0;
    do rv = hf_timer_ack(shop->client, delivery->key, delivery->fencing_token, &request);
    while (is_open(&rv, &request));
    /* Stale: it was delivered to somebody else, who finds the order expired and acknowledges. */
    if (rv != HF_OK && rv != HF_ESTALE && rv != HF_ENOTFOUND) stop_on(rv, "acknowledge", id);
    tell_step(shop, "expire-acknowledged", id);
}

/* The time-out has fired: no payment is let through any more. So write that down, and only then
 * acknowledge; the other way round a death in between would leave the order open for ever. */
static void expire_one(struct shop *shop, const hf_timer_delivery *delivery)
{
    char id[ORDER_ID_BYTES];
    (void)snprintf(id, sizeof id, "%.*s", (int)delivery->payload_bytes,
                   (const char *)delivery->payload);
    tell_step(shop, "expire-delivered", id);
    enum expiry expiry = ledger_expire(shop->ledger, id, delivery->fencing_token);
    if (expiry == EXPIRY_PAID) stop_on(HF_EFIRED, "expire the paid order", id);
    if (expiry == EXPIRY_FENCED) {
        shop->fenced += 1;
        return; /* the later delivery's holder acknowledges */
    }
    shop->expired += 1;
    shop->again += delivery->attempt > 1;
    tell_step(shop, "expire-committed", id);
    acknowledge(shop, delivery, id);
}

size_t order_expire(struct shop *shop, uint64_t wait_ms)
{
    hf_timer_batch *batch = NULL;
    int rv =
        hf_timer_poll(shop->client, shop->name, EXPIRE_COUNT_MAX, shop->lease_ms, wait_ms, &batch);
    if (is_passing(rv)) {
        (void)usleep(PAUSE_US);
        return 0;
    }
    if (rv != HF_OK) stop_on(rv, "poll", shop->name);
    size_t count = hf_timer_batch_count(batch);
    for (size_t i = 0; i < count; i++) expire_one(shop, hf_timer_batch_at(batch, i));
    hf_timer_batch_free(batch);
    return count;
}
