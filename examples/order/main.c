/* order_timeout: makes a ledger, places orders, pays them at the very moment of their time-out,
 * expires them, and counts. Timers' keys begin with the folder's name, so a folder is used with one
 * cluster under one name.
 *
 *   order_timeout make DIR
 *   order_timeout place DIR [OPTION...]    place all orders; again as you like
 *   order_timeout pay DIR [OPTION...]      pay every second one; again, or several at a time
 *   order_timeout expire DIR [OPTION...]   until no order is open
 *   order_timeout report DIR               exit code 0 only if each is paid or expired, once
 *
 *   --servers HOST:PORT,...   else $HOLDFAST_SERVERS
 *   --orders N                how many there are
 *   --delay MS, --gap MS      of the first time-out, and from one to the next
 *   --lease MS                of each delivery
 *   --first N, --every N      pay the N-th order and every N-th behind it
 *   --at-the-moment           a payment asks the arbiter when the time-out is due, give or take
 *   --die-at STEP             kill -9 itself there: place-noted, place-timed, pay-held,
 *                             pay-decided, pay-booked or pay-refused, expire-delivered,
 *                             expire-committed, expire-acknowledged
 *   --stop-at STEP            stop itself there, the first time */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/order/order.h"

enum {
    ACCOUNTS = 20,
    CENTS_AT_START = 100000,
    ORDERS_MAX = 1000,
    TTL_MS = 2000,
    DELAY_MS = 2000,
    LEASE_MS = 1000,
    WAIT_MS = 200,
    MOMENT_MS = 25, /* how far from the very moment a payment comes, before or after */
    NEAR_MS = 200,  /* from here on what is left is not asked again */
    PATH_BYTES = 512,
};

struct program {
    const char *dir;     /* where all is */
    struct shop shop;    /* its ledger is owned */
    int count;           /* of orders */
    uint64_t gap_ms;     /* from one time-out to the next */
    int first;           /* to be paid */
    int every;           /* likewise */
    int at_the_moment;   /* wait until then */
    const char *die_at;  /* a step, or NULL */
    const char *stop_at; /* likewise */
};

static void usage(void)
{
    fprintf(stderr,
            "use: order_timeout make DIR | report DIR\n"
            "     order_timeout place|pay|expire DIR [--servers LIST] [--orders N] [--delay MS]\n"
            "         [--gap MS] [--lease MS] [--first N] [--every N] [--at-the-moment]\n"
            "         [--die-at STEP] [--stop-at STEP]\n");
    exit(64);
}

static int number_of(const char *text, int min, int max)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "order_timeout: \"%s\" is not a number from %d to %d\n", text, min, max);
        exit(64);
    }
    return (int)value;
}

/* ------------------------------------------------------------------ mishaps */

/* The i-th order's payment comes up to MOMENT_MS before or after its time-out is due. What is left
 * is asked again and again: a server that was dead adds to it. */
static void wait_for_moment(struct program *p, const char *id)
{
    int shift = (int)(strtol(id, NULL, 10) * 7 % (2 * MOMENT_MS)) - MOMENT_MS;
    int left = (int)order_left_ms(&p->shop, id);
    for (; left > NEAR_MS; left = (int)order_left_ms(&p->shop, id)) (void)usleep(NEAR_MS * 500);
    if (left > 0 && left + shift > 0) (void)usleep((useconds_t)(left + shift) * 1000);
}

static void at_step(const char *step, const char *id, void *data)
{
    struct program *p = data;
    if (p->at_the_moment && strcmp(step, "pay-held") == 0) wait_for_moment(p, id);
    if (p->die_at != NULL && strcmp(step, p->die_at) == 0) (void)raise(SIGKILL);
    if (p->stop_at != NULL && strcmp(step, p->stop_at) == 0) {
        p->stop_at = NULL;
        (void)raise(SIGSTOP);
    }
}

/* ------------------------------------------------------------------ place, pay, expire */

/* One in ten asks for more than the account can ever have. */
static void place_all(struct program *p)
{
    for (int i = 0; i < p->count; i++) {
        struct order order = {.cents = i % 10 == 4 ? CENTS_AT_START * 100 : 100 + i * 37 % 900};
        (void)snprintf(order.id, sizeof order.id, "%04d", i);
        (void)snprintf(order.account, sizeof order.account, "%d", i % ACCOUNTS);
        (void)order_place(&p->shop, &order);
        p->shop.delay_ms += p->gap_ms;
    }
    printf("%d placed\n", p->count);
}

static void pay_all(struct program *p)
{
    int results[] = {[PAYMENT_MADE] = 0, [PAYMENT_EXPIRED] = 0, [PAYMENT_FUNDS] = 0};
    for (int i = p->first; i < p->count; i += p->every) {
        char id[ORDER_ID_BYTES];
        (void)snprintf(id, sizeof id, "%04d", i);
        results[order_pay(&p->shop, id)] += 1;
    }
    printf("%d paid, %d too late, %d with too little money\n", results[PAYMENT_MADE],
           results[PAYMENT_EXPIRED], results[PAYMENT_FUNDS]);
}

static void expire_all(struct program *p)
{
    while (ledger_number(p->shop.ledger, "SELECT count(*) FROM orders WHERE state = 0", NULL) > 0)
        (void)order_expire(&p->shop, WAIT_MS);
    printf("%d expired, %d of them not at the first delivery; %d too late to write\n",
           p->shop.expired, p->shop.again, p->shop.fenced);
}

/* ------------------------------------------------------------------ report */

static int64_t count_orders(struct ledger *ledger, const char *having)
{
    char query[512];
    (void)snprintf(query, sizeof query,
                   "SELECT count(*) FROM (SELECT o.id, sum(e.what IS 'paid') AS paid, "
                   "sum(e.what IS 'expired') AS expired FROM orders o LEFT JOIN entries e "
                   "ON e.id = o.id GROUP BY o.id) WHERE %s",
                   having);
    return ledger_number(ledger, query, NULL);
}

/* By the entries, for nothing keeps them single; the state must say the same. */
static int report(struct ledger *ledger)
{
    int64_t count = ledger_number(ledger, "SELECT count(*) FROM orders", NULL);
    int64_t paid = count_orders(ledger, "paid = 1 AND expired = 0");
    int64_t expired = count_orders(ledger, "paid = 0 AND expired = 1");
    int64_t both = count_orders(ledger, "paid > 0 AND expired > 0");
    int64_t neither = count_orders(ledger, "paid = 0 AND expired = 0");
    int64_t twice = count - paid - expired - both - neither;
    int64_t holds = ledger_number(ledger, "SELECT count(*) FROM orders WHERE held = 1", NULL);
    int64_t shop = ledger_number(ledger, "SELECT cents FROM accounts WHERE id = 'shop'", NULL);
    int64_t rest =
        ledger_number(ledger, "SELECT sum(cents) FROM accounts WHERE id <> 'shop'", NULL);
    int64_t owed =
        ledger_number(ledger, "SELECT coalesce(sum(cents), 0) FROM orders WHERE state = 1", NULL);
    int64_t start = (int64_t)ACCOUNTS * CENTS_AT_START;
    printf("orders     %" PRId64 ": %" PRId64 " paid + %" PRId64 " expired; %" PRId64
           " both, %" PRId64 " neither, %" PRId64 " twice; %" PRId64 " holds left\n",
           count, paid, expired, both, neither, twice, holds);
    printf("money      accounts %" PRId64 " + shop %" PRId64 " = %" PRId64
           " cents, at the start %" PRId64 "; the paid orders' %" PRId64 "\n",
           rest, shop, rest + shop, start, owed);
    return paid + expired != count || holds != 0 || rest + shop != start || shop != owed;
}

/* ------------------------------------------------------------------ main */

/* One option. \return how many words it took. */
static int take_option(struct program *p, hf_options *options, char **words)
{
    if (strcmp(words[0], "--at-the-moment") == 0) {
        p->at_the_moment = 1;
        return 1;
    }
    if (words[1] == NULL) usage();
    if (strcmp(words[0], "--servers") == 0) {
        options->servers = words[1];
    } else if (strcmp(words[0], "--orders") == 0) {
        p->count = number_of(words[1], 1, ORDERS_MAX);
    } else if (strcmp(words[0], "--delay") == 0) {
        p->shop.delay_ms = (uint64_t)number_of(words[1], 0, 600000);
    } else if (strcmp(words[0], "--gap") == 0) {
        p->gap_ms = (uint64_t)number_of(words[1], 0, 1000);
    } else if (strcmp(words[0], "--lease") == 0) {
        p->shop.lease_ms = (uint64_t)number_of(words[1], 500, 600000);
    } else if (strcmp(words[0], "--first") == 0) {
        p->first = number_of(words[1], 0, ORDERS_MAX);
    } else if (strcmp(words[0], "--every") == 0) {
        p->every = number_of(words[1], 1, ORDERS_MAX);
    } else if (strcmp(words[0], "--die-at") == 0) {
        p->die_at = words[1];
    } else if (strcmp(words[0], "--stop-at") == 0) {
        p->stop_at = words[1];
    } else {
        usage();
    }
    return 2;
}

static int run(struct program *p, const char *verb, const hf_options *options)
{
    void (*work)(struct program *) = NULL;
    if (strcmp(verb, "place") == 0) work = place_all;
    if (strcmp(verb, "pay") == 0) work = pay_all;
    if (strcmp(verb, "expire") == 0) work = expire_all;
    if (work == NULL) usage();
    int rv = hf_client_open(options, &p->shop.client);
    if (rv != HF_OK) {
        fprintf(stderr, "order_timeout: cannot start the client: %s\n", hf_status_text(rv));
        return 1;
    }
    work(p);
    hf_client_close(p->shop.client);
    return 0;
}

int main(int argc, char **argv)
{
    char path[PATH_BYTES];
    int status = 0;
    hf_options options;
    struct program p = {.count = 200, .every = 2};
    if (argc < 3) usage();
    hf_options_init(&options);
    options.ttl_ms = TTL_MS;
    p.dir = argv[2];
    p.shop.delay_ms = DELAY_MS;
    p.shop.lease_ms = LEASE_MS;
    p.shop.step_cb = at_step;
    p.shop.data = &p;
    for (int i = 3; i < argc;) i += take_option(&p, &options, argv + i);

    const char *name = strrchr(p.dir, '/') != NULL ? strrchr(p.dir, '/') + 1 : p.dir;
    (void)snprintf(p.shop.name, sizeof p.shop.name, "orders/%.40s", name);
    int size = snprintf(path, sizeof path, "%s/orders.db", p.dir);
    if (size < 0 || size >= PATH_BYTES) usage();
    p.shop.ledger = ledger_open(path);
    if (strcmp(argv[1], "make") == 0) {
        ledger_make(p.shop.ledger, ACCOUNTS, CENTS_AT_START);
    } else if (strcmp(argv[1], "report") == 0) {
        status = report(p.shop.ledger);
    } else {
        status = run(&p, argv[1], &options);
    }
    ledger_close(p.shop.ledger);
    return status;
}
