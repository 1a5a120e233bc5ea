/* payment_tool: what the demonstration needs around the workers.
 *
 *   payment_tool requests FILE          make 2,000 requests: 1,480 payments, 500 repeats of earlier
 *                                       ones, 20 with an earlier one's id and another amount
 *   payment_tool make LEDGER            make the ledger
 *   payment_tool count LEDGER           print how many transfers there are
 *   payment_tool guard LEDGER ACCOUNT   print the greatest token that was there
 *   payment_tool report LEDGER REQUESTS RESULTS... [--without-holdfast]
 *                                       print what came of it; exit code 0 only if each payment
 *                                       moved its money exactly once (with --without-holdfast: 0 if
 *                                       the harm is there to be seen) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/payment/ledger_sqlite.h"

enum {
    REQUESTS = 2000,
    REPEATS = 500,
    MISMATCHES = 20,
    PAYMENTS = REQUESTS - REPEATS - MISMATCHES,
    WORKERS = 8, /* request n goes to worker n % WORKERS */
    LINE_BYTES = 512,
};

/* ------------------------------------------------------------------ requests */

static uint64_t drawn = UINT64_C(0x9e3779b97f4a7c15); /* the same file every time */

static int draw(int bound)
{
    drawn ^= drawn << 13; /* xorshift64, Marsaglia 2003 */
    drawn ^= drawn >> 7;
    drawn ^= drawn << 17;
    return (int)(drawn % (uint64_t)bound);
}

static void put_request(FILE *file, int payment, int more_cents)
{
    int account = (payment * 7 + payment / 13) % ACCOUNTS;
    int cents = 100 + payment * 37 % 9900 + more_cents;
    fprintf(file, "payment-%04d account-%02d %d\n", payment, account, cents);
}

/* A repeat follows its original at once, so that two workers have the same payment at the same
 * time, or comes much later. A request with another amount goes to the worker that had the original
 * and behind it: the first one to come is the one that counts, and this keeps the demonstration's
 * figures the same every time. */
static int make_requests(const char *path)
{
    FILE *file = fopen(path, "w");
    int line_of[PAYMENTS] = {0};
    int made = 0;
    int repeats = 0;
    int mismatches = 0;
    if (file == NULL) return 1;
    for (int line = 0; line < REQUESTS; line++) {
        int other = mismatches * 11;
        if (mismatches < MISMATCHES && line > REQUESTS / 2 &&
            line % WORKERS == line_of[other] % WORKERS) {
            put_request(file, other, 1);
            mismatches += 1;
        } else if (made > 0 && (made == PAYMENTS || (repeats < REPEATS && draw(4) == 0))) {
            put_request(file, repeats % 2 == 0 ? made - 1 : draw(made), 0);
            repeats += 1;
        } else {
            line_of[made] = line;
            put_request(file, made++, 0);
        }
    }
    return fclose(file) != 0 || mismatches != MISMATCHES || repeats != REPEATS;
}

/* ------------------------------------------------------------------ the report */

struct tally {
    int paid;       /* answers: moved by this very call */
    int replays;    /* answers: the stored receipt */
    int refused;    /* answers: another payment under the same id */
    int declined;   /* answers: too little money */
    int fenced;     /* writes that the guard refused */
    int resolved;   /* UNKNOWN records decided */
    int taken_over; /* attempts of dead workers finished */
    int answers;    /* lines answered */
    int wrong;      /* receipts that are not the ledger's */
};

static int64_t ask(struct ledger *db, const char *query)
{
    return ledger_number(db, query, NULL);
}

static void count_answer(struct ledger *db, struct tally *t, char *line)
{
    char *rest = NULL;
    (void)strtok_r(line, " \n", &rest); /* "answer" */
    (void)strtok_r(NULL, " \n", &rest); /* the request's number */
    const char *word = strtok_r(NULL, " \n", &rest);
    (void)strtok_r(NULL, " \n", &rest); /* the payment's id */
    const char *receipt = strtok_r(NULL, " \n", &rest);
    if (word == NULL || receipt == NULL) return;
    t->answers += 1;
    t->paid += strcmp(word, "paid") == 0;
    t->replays += strcmp(word, "replay") == 0;
    t->refused += strcmp(word, "refused") == 0;
    t->declined += strcmp(word, "declined") == 0;
    if (receipt[0] == '-') return;
    t->wrong +=
        ledger_number(db, "SELECT count(*) FROM transfers WHERE receipt = ?1", receipt) != 1;
}

static void count_results(struct ledger *db, struct tally *t, const char *path)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) {
        t->fenced += strncmp(line, "fenced", 6) == 0;
        t->resolved += strncmp(line, "resolved", 8) == 0;
        t->taken_over += strncmp(line, "taken-over", 10) == 0;
        if (strncmp(line, "answer ", 7) == 0) count_answer(db, t, line);
    }
    (void)fclose(file);
}

/* The distinct payments that were asked for, with the first amount asked, against the ledger. */
static int64_t count_not_once(struct ledger *db, const char *requests)
{
    char line[LINE_BYTES];
    FILE *file = fopen(requests, "r");
    if (file == NULL) return -1;
    (void)ask(db, "SELECT 1"); /* the temporary table is this connection's own */
    ledger_run(db, "CREATE TEMP TABLE asked(payment TEXT PRIMARY KEY, account TEXT, cents "
                   "INTEGER); BEGIN");
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = NULL;
        char sql[LINE_BYTES * 2];
        const char *id = strtok_r(line, " \n", &rest);
        const char *account = strtok_r(NULL, " \n", &rest);
        const char *cents = strtok_r(NULL, " \n", &rest);
        (void)snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO asked VALUES ('%s', '%s', %s)", id,
                       account, cents);
        ledger_run(db, sql);
    }
    (void)fclose(file);
    ledger_run(db, "COMMIT");
    return ask(db, "SELECT count(*) FROM asked WHERE 1 <> (SELECT count(*) FROM transfers t WHERE "
                   "t.payment = asked.payment AND t.account = asked.account AND t.cents = "
                   "asked.cents) OR 1 <> (SELECT count(*) FROM transfers t WHERE t.payment = "
                   "asked.payment)");
}

static int64_t longest_pause_ms(struct ledger *db)
{
    return ask(db, "SELECT coalesce(max(pause), 0) FROM (SELECT at_ms - lag(at_ms) OVER (ORDER BY "
                   "at_ms) AS pause FROM transfers)");
}

/* What each account should hold if every transfer in the ledger had changed it. */
static int64_t wrong_accounts(struct ledger *db)
{
    char query[LINE_BYTES];
    (void)snprintf(
        query, sizeof query,
        "SELECT count(*) FROM accounts a WHERE id <> 'shop' AND cents "
        "<> %d - (SELECT coalesce(sum(cents), 0) FROM transfers t WHERE t.account = a.id)",
        CENTS_AT_START);
    return ask(db, query);
}

static void print_line(const char *what, int64_t number, const char *remark)
{
    printf("  %-48s %11" PRId64 "  %s\n", what, number, remark);
}

static int report(struct ledger *db, const char *requests, char **results, int count, int naive)
{
    struct tally t = {.paid = 0};
    int64_t before = (int64_t)ACCOUNTS * CENTS_AT_START;
    for (int i = 0; i < count; i++) count_results(db, &t, results[i]);
    int64_t not_once = count_not_once(db, requests);
    int64_t effects = ask(db, "SELECT count(*) FROM transfers");
    int64_t twice =
        ask(db, "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM transfers "
                "GROUP BY payment)");
    int64_t wrong = wrong_accounts(db);
    int64_t after = ledger_sum(db);
    print_line("requests", t.answers, "of them 500 repeats, 20 with another amount");
    print_line("effects in the ledger", effects, "wanted: 1480, one a payment");
    print_line("payments booked more than once, times", twice, "wanted: 0");
    print_line("payments not booked exactly once as asked", not_once, "wanted: 0");
    if (!naive) {
        print_line("replays: answered with the stored receipt", t.replays, "");
        print_line("receipts that are not in the ledger", t.wrong, "wanted: 0");
        print_line("mismatches refused", t.refused, "wanted: 20");
        print_line("writes refused by the guard", t.fenced,
                   "of a worker that slept past its lease");
        print_line("unknowns resolved by asking the ledger", t.resolved, "");
        print_line("attempts of the dead taken over", t.taken_over, "");
    }
    print_line("sum of balances before, in cents", before, "");
    print_line("sum of balances after", after, after == before ? "the same" : "WRONG");
    print_line("accounts whose balance is not their transfers'", wrong, "wanted: 0");
    print_line("longest pause between two payments, ms", longest_pause_ms(db), "");
    if (naive) return twice > 0 && after != before ? 0 : 1;
    return t.answers == REQUESTS && effects == PAYMENTS && twice == 0 && not_once == 0 &&
                   t.wrong == 0 && t.refused == MISMATCHES && t.declined == 0 && wrong == 0 &&
                   after == before
               ? 0
               : 1;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    if (strcmp(verb, "requests") == 0) return make_requests(argv[2]);
    int naive = argc > 2 && strcmp(argv[argc - 1], "--without-holdfast") == 0;
    int rv = 0;
    if (strcmp(verb, "make") != 0 && strcmp(verb, "count") != 0 &&
        (strcmp(verb, "guard") != 0 || argc != 4) && (strcmp(verb, "report") != 0 || argc < 5)) {
        fprintf(stderr, "use: payment_tool requests FILE | make LEDGER | count LEDGER |\n"
                        "     guard LEDGER ACCOUNT |\n"
                        "     report LEDGER REQUESTS RESULTS... [--without-holdfast]\n");
        return 64;
    }
    struct ledger *db = ledger_open(argv[2]);
    if (verb[0] == 'm') {
        ledger_make(db);
    } else if (verb[0] == 'c') {
        printf("%" PRId64 "\n", ask(db, "SELECT count(*) FROM transfers"));
    } else if (verb[0] == 'g') {
        printf("%" PRId64 "\n",
               ledger_number(
                   db, "SELECT coalesce(max(token), 0) FROM holdfast_guard WHERE resource = ?1",
                   argv[3]));
    } else {
        rv = report(db, argv[3], argv + 4, argc - 4 - naive, naive);
    }
    ledger_close(db);
    return rv;
}
