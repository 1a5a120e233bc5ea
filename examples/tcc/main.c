/* tcc_transfer: makes two ledgers and a list of transfers, runs the list, and counts. A transfer's
 * id begins with the folder's name, so a folder is run against one cluster under one name.
 *
 *   tcc_transfer make DIR [--transfers N]   DIR/east.db, DIR/west.db and DIR/transfers
 *   tcc_transfer run DIR [OPTION...]        run them all; again, or several at a time, as you like
 *   tcc_transfer report DIR                 exit code 0 only if each is whole or not at all
 *
 *   --servers HOST:PORT,...   else $HOLDFAST_SERVERS
 *   --lease MS                of each phase
 *   --first N                 begin with the N-th transfer, and go round
 *   --give-up                 call off what is not decided
 *   --die-at STEP             kill -9 itself there: (debit|credit)-(try|confirm|cancel)-X, where X
 *                             is asked (before the local transaction), committed, or done (told)
 *   --stop-at STEP            stop itself there, the first time
 *   --without-guard           claim nothing, to see what the guard is for */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/tcc/transfer.h"

enum {
    ACCOUNTS = 8, /* in each ledger; the last one is closed */
    CENTS_AT_START = 100000,
    TRANSFERS_MAX = 1000,
    TTL_MS = 2000,
    LEASE_MS = 1000,
    PATH_BYTES = 512,
};

enum { EAST, WEST, LEDGERS };
static const char *const ledger_names[LEDGERS] = {"east", "west"};

/* One line of the list. */
struct order {
    char gid[64];         /* of the transfer */
    char accounts[2][16]; /* in `from`, and in the other ledger */
    int from;             /* EAST or WEST: whose account pays */
    int64_t cents;        /* how much */
};

struct program {
    const char *dir;                 /* where all is */
    struct ledger *ledgers[LEDGERS]; /* owned */
    struct order *orders;            /* owned */
    int count;                       /* of them */
    int first;                       /* where to begin */
    int guarded;                     /* 0: --without-guard */
    const char *die_at;              /* a step, or NULL */
    const char *stop_at;             /* likewise */
};

static void die(const char *what, const char *which)
{
    fprintf(stderr, "tcc_transfer: cannot %s %s (errno %d)\n", what, which, errno);
    exit(1);
}

static void usage(void)
{
    fprintf(stderr,
            "use: tcc_transfer make DIR [--transfers N] | report DIR\n"
            "     tcc_transfer run DIR [--servers LIST] [--lease MS] [--first N] [--give-up]\n"
            "         [--die-at STEP] [--stop-at STEP] [--without-guard]\n");
    exit(64);
}

static int number_of(const char *text, int max)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0 || value > max) {
        fprintf(stderr, "tcc_transfer: \"%s\" is not a number from 0 to %d\n", text, max);
        exit(64);
    }
    return (int)value;
}

/* ------------------------------------------------------------------ the list */

static void path_of(char out[PATH_BYTES], const char *dir, const char *name)
{
    int size = snprintf(out, PATH_BYTES, "%s/%s", dir, name);
    if (size < 0 || size >= PATH_BYTES) usage();
}

/* Of ten transfers one asks for more than the account has, one pays into a closed account. */
static void make_list(const char *dir, int count)
{
    char path[PATH_BYTES];
    const char *name = strrchr(dir, '/') != NULL ? strrchr(dir, '/') + 1 : dir;
    path_of(path, dir, "transfers");
    FILE *file = fopen(path, "w");
    if (file == NULL) die("write", path);
    for (int i = 0; i < count; i++) {
        int cents = i % 10 == 3 ? CENTS_AT_START * 100 : 100 + i * 37 % 900;
        int to = i % 10 == 6 ? ACCOUNTS - 1 : i * 5 % (ACCOUNTS - 1);
        fprintf(file, "%.40s/%04d %s %d %d %d\n", name, i, ledger_names[i % 2], i % (ACCOUNTS - 1),
                to, cents);
    }
    if (fclose(file) != 0) die("write", path);
}

/* "GID east|west ACCOUNT ACCOUNT CENTS" */
static int parse_order(char *line, struct order *o)
{
    char *rest = NULL;
    char *end = NULL;
    const char *words[5];
    for (int i = 0; i < 5; i++) {
        words[i] = strtok_r(i == 0 ? line : NULL, " \n", &rest);
        if (words[i] == NULL) return 0;
    }
    (void)snprintf(o->gid, sizeof o->gid, "%s", words[0]);
    o->from = strcmp(words[1], ledger_names[WEST]) == 0 ? WEST : EAST;
    (void)snprintf(o->accounts[0], sizeof o->accounts[0], "%s", words[2]);
    (void)snprintf(o->accounts[1], sizeof o->accounts[1], "%s", words[3]);
    o->cents = strtoll(words[4], &end, 10);
    return *end == '\0' && o->cents > 0;
}

static void read_list(struct program *p)
{
    char path[PATH_BYTES];
    char line[256];
    path_of(path, p->dir, "transfers");
    FILE *file = fopen(path, "r");
    p->orders = calloc(TRANSFERS_MAX, sizeof *p->orders);
    if (file == NULL || p->orders == NULL) die("read", path);
    while (p->count < TRANSFERS_MAX && fgets(line, sizeof line, file) != NULL) {
        if (!parse_order(line, &p->orders[p->count++])) die("understand", path);
    }
    (void)fclose(file);
}

static void open_ledgers(struct program *p)
{
    for (int i = 0; i < LEDGERS; i++) {
        char name[16];
        char path[PATH_BYTES];
        (void)snprintf(name, sizeof name, "%s.db", ledger_names[i]);
        path_of(path, p->dir, name);
        p->ledgers[i] = ledger_open(path, p->guarded);
    }
}

static void close_all(struct program *p)
{
    for (int i = 0; i < LEDGERS; i++) ledger_close(p->ledgers[i]);
    free(p->orders);
}

/* ------------------------------------------------------------------ run */

static void at_step(const char *step, void *data)
{
    struct program *p = data;
    if (p->die_at != NULL && strcmp(step, p->die_at) == 0) (void)raise(SIGKILL);
    if (p->stop_at != NULL && strcmp(step, p->stop_at) == 0) {
        p->stop_at = NULL;
        (void)raise(SIGSTOP);
    }
}

static void run_all(struct program *p, struct coordinator *c)
{
    int made = 0;
    for (int i = 0; i < p->count; i++) {
        const struct order *o = &p->orders[(p->first + i) % p->count];
        const struct transfer t = {
            .debit = {.ledger = p->ledgers[o->from],
                      .gid = o->gid,
                      .branch = "debit",
                      .account = o->accounts[0],
                      .cents = -o->cents},
            .credit = {.ledger = p->ledgers[1 - o->from],
                       .gid = o->gid,
                       .branch = "credit",
                       .account = o->accounts[1],
                       .cents = o->cents},
        };
        made += transfer_run(c, &t);
    }
    printf("%d made, %d called off; %d phases of the dead taken over, %d with nothing to undo, %d "
           "refused by the guard\n",
           made, p->count - made, c->taken_over, c->empty, c->fenced);
}

/* ------------------------------------------------------------------ report */

static int64_t entries_of(struct ledger *ledger, const char *gid)
{
    return ledger_number(ledger, "SELECT count(*) FROM entries WHERE gid = ?1", gid);
}

static int64_t cents_of(struct ledger *ledger, const char *gid)
{
    return ledger_number(ledger, "SELECT coalesce(sum(cents), 0) FROM entries WHERE gid = ?1", gid);
}

/* Whole: one entry in each ledger, of this amount. Not at all: none. */
static int report(const struct program *p)
{
    int64_t sums[LEDGERS];
    int64_t holds = 0;
    int made = 0;
    int halves = 0;
    for (int i = 0; i < p->count; i++) {
        const struct order *o = &p->orders[i];
        struct ledger *from = p->ledgers[o->from];
        struct ledger *to = p->ledgers[1 - o->from];
        int64_t in_from = entries_of(from, o->gid);
        int64_t in_to = entries_of(to, o->gid);
        int whole = in_from == 1 && in_to == 1 && cents_of(from, o->gid) == -o->cents &&
                    cents_of(to, o->gid) == o->cents;
        made += whole;
        halves += !whole && in_from + in_to > 0;
    }
    for (int i = 0; i < LEDGERS; i++) {
        holds += ledger_number(p->ledgers[i], "SELECT count(*) FROM holds", NULL);
        sums[i] = ledger_number(p->ledgers[i], "SELECT sum(cents) FROM accounts", NULL);
    }
    int64_t start = (int64_t)LEDGERS * ACCOUNTS * CENTS_AT_START;
    printf("transfers  %d: %d whole, %d not at all, %d neither; %" PRId64 " reservations left\n",
           p->count, made, p->count - made - halves, halves, holds);
    printf("money      east %" PRId64 " + west %" PRId64 " = %" PRId64
           " cents, at the start %" PRId64 "\n",
           sums[EAST], sums[WEST], sums[EAST] + sums[WEST], start);
    return halves != 0 || holds != 0 || sums[EAST] + sums[WEST] != start;
}

/* ------------------------------------------------------------------ main */

static int make(struct program *p, int count)
{
    make_list(p->dir, count);
    open_ledgers(p);
    for (int i = 0; i < LEDGERS; i++) ledger_make(p->ledgers[i], ACCOUNTS, CENTS_AT_START);
    return 0;
}

/* One option. \return how many words it took. */
static int take_option(struct program *p, struct coordinator *c, hf_options *options, int *count,
                       char **words)
{
    if (strcmp(words[0], "--give-up") == 0) {
        c->give_up = 1;
        return 1;
    }
    if (strcmp(words[0], "--without-guard") == 0) {
        p->guarded = 0;
        return 1;
    }
    if (words[1] == NULL) usage();
    if (strcmp(words[0], "--transfers") == 0) {
        *count = number_of(words[1], TRANSFERS_MAX);
    } else if (strcmp(words[0], "--servers") == 0) {
        options->servers = words[1];
    } else if (strcmp(words[0], "--lease") == 0) {
        c->lease_ms = (uint64_t)number_of(words[1], 600000);
    } else if (strcmp(words[0], "--first") == 0) {
        p->first = number_of(words[1], TRANSFERS_MAX);
    } else if (strcmp(words[0], "--die-at") == 0) {
        p->die_at = words[1];
    } else if (strcmp(words[0], "--stop-at") == 0) {
        p->stop_at = words[1];
    } else {
        usage();
    }
    return 2;
}

static void run_list(struct program *p, struct coordinator *c, const hf_options *options)
{
    int rv = hf_client_open(options, &c->client);
    if (rv != HF_OK) {
        fprintf(stderr, "tcc_transfer: cannot start the client: %s\n", hf_status_text(rv));
        exit(1);
    }
    run_all(p, c);
    hf_client_close(c->client);
}

int main(int argc, char **argv)
{
    int count = 100;
    int status = 0;
    hf_options options;
    struct program p = {.guarded = 1};
    struct coordinator c = {.lease_ms = LEASE_MS, .step_cb = at_step, .data = &p};
    if (argc < 3) usage();
    hf_options_init(&options);
    options.ttl_ms = TTL_MS;
    p.dir = argv[2];
    for (int i = 3; i < argc;) i += take_option(&p, &c, &options, &count, argv + i);

    if (strcmp(argv[1], "make") == 0) {
        status = make(&p, count);
    } else if (strcmp(argv[1], "run") == 0) {
        read_list(&p);
        open_ledgers(&p);
        run_list(&p, &c, &options);
    } else if (strcmp(argv[1], "report") == 0) {
        read_list(&p);
        open_ledgers(&p);
        status = report(&p);
    } else {
        usage();
    }
    close_all(&p);
    return status;
}
