/* The ledger in PostgreSQL: examples/payment/pay.c and worker.c run on it as they stand. Each
 * function is one transaction: the guard is claimed, then read, then written. */
#include "examples/payment/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "examples/postgres/guarded.h"

enum { THINKING_US = 500, NUMBER_BYTES = 24 };

struct ledger {
    PGconn *db; /* owned */
};

struct ledger *ledger_open(const char *where)
{
    struct ledger *ledger = malloc(sizeof *ledger);
    if (ledger == NULL) {
        fprintf(stderr, "ledger: no memory\n");
        exit(1);
    }
    ledger->db = guarded_connect(where);
    return ledger;
}

void ledger_close(struct ledger *ledger)
{
    PQfinish(ledger->db);
    free(ledger);
}

static int64_t balance_of(PGconn *db, const char *account)
{
    return guarded_number(db, "SELECT cents FROM accounts WHERE id = $1", 1, &account);
}

/* The balance as it was computed here, the shop's share, and the line that tells of it. */
static void book(PGconn *db, const struct payment *p, int64_t balance, const char *receipt)
{
    char cents[NUMBER_BYTES];
    char after[NUMBER_BYTES];
    (void)snprintf(cents, sizeof cents, "%" PRId64, p->cents);
    (void)snprintf(after, sizeof after, "%" PRId64, balance - p->cents);
    const char *const account[] = {p->account, after};
    const char *const transfer[] = {p->id, p->account, cents, receipt};
    guarded_do(db, "UPDATE accounts SET cents = $2 WHERE id = $1", 2, account);
    guarded_do(db, "UPDATE accounts SET cents = cents + $1 WHERE id = 'shop'", 1, &transfer[2]);
    guarded_do(db, "INSERT INTO transfers VALUES ($1, $2, $3, $4)", 4, transfer);
}

enum moved ledger_move(struct ledger *ledger, const struct payment *p, uint64_t token,
                       char *receipt)
{
    PGconn *db = ledger->db;
    if (!guarded_begin(db, p->account, token)) return MOVED_NOT_FENCED;
    int64_t balance = balance_of(db, p->account); /* behind the claim: nobody older writes now */
    if (balance < p->cents) {
        guarded_do(db, "ROLLBACK", 0, NULL);
        return MOVED_NOT_FUNDS;
    }
    (void)snprintf(receipt, RECEIPT_BYTES, "receipt-%s-%" PRId64 "-%" PRIu64, p->id, p->cents,
                   token);
    book(db, p, balance, receipt);
    guarded_do(db, "COMMIT", 0, NULL);
    return MOVED;
}

int ledger_ask(struct ledger *ledger, const struct payment *p, uint64_t token, char *receipt)
{
    const char *const id = p->id;
    if (!guarded_begin(ledger->db, p->account, token)) return -1;
    PGresult *found =
        guarded_run(ledger->db, "SELECT receipt FROM transfers WHERE payment = $1", 1, &id);
    int booked = PQntuples(found) > 0;
    if (booked) (void)snprintf(receipt, RECEIPT_BYTES, "%s", PQgetvalue(found, 0, 0));
    PQclear(found);
    guarded_do(ledger->db, "COMMIT", 0, NULL);
    return booked;
}

void ledger_move_naively(struct ledger *ledger, const struct payment *p)
{
    int64_t balance = balance_of(ledger->db, p->account);
    (void)usleep(THINKING_US); /* checks, a log line, a call to another service: time passes */
    guarded_do(ledger->db, "BEGIN", 0, NULL);
    book(ledger->db, p, balance, "none");
    guarded_do(ledger->db, "COMMIT", 0, NULL);
}
