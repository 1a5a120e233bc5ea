/* The ledger in SQLite. */
#include "examples/payment/ledger_sqlite.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct ledger {
    sqlite3 *db; /* owned */
};

enum { BUSY_MS = 20000, THINKING_US = 500 };

static const char schema[] =
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, cents INTEGER NOT NULL);"
    "CREATE TABLE transfers(payment TEXT, account TEXT, cents INTEGER, receipt TEXT, at_ms "
    "INTEGER);"
    "CREATE INDEX transfers_by_payment ON transfers(payment);" /* to find one; it may be there twice
                                                                */
    "CREATE TABLE holdfast_guard(resource TEXT PRIMARY KEY, token INTEGER NOT NULL);";

/* 0 rows changed: a greater token has been here. Contract, 5. */
static const char claim_guard[] = "INSERT INTO holdfast_guard(resource, token) VALUES (?1, ?2) "
                                  "ON CONFLICT (resource) DO UPDATE SET token = excluded.token "
                                  "WHERE holdfast_guard.token <= excluded.token";

static void fail(sqlite3 *db, const char *what)
{
    fprintf(stderr, "ledger: cannot %s: %s\n", what, db != NULL ? sqlite3_errmsg(db) : "no memory");
    exit(1);
}

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail(db, sql);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) fail(db, sql);
    return statement;
}

/* Run a prepared statement that returns no row. */
static void finish(sqlite3 *db, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE) fail(db, sqlite3_sql(statement));
    sqlite3_finalize(statement);
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct ledger *ledger_open(const char *where)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) fail(NULL, "open the ledger");
    if (sqlite3_open(where, &ledger->db) != SQLITE_OK) fail(ledger->db, "open the ledger");
    (void)sqlite3_busy_timeout(ledger->db, BUSY_MS);
    run(ledger->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    return ledger;
}

void ledger_close(struct ledger *ledger)
{
    (void)sqlite3_close(ledger->db);
    free(ledger);
}

void ledger_run(struct ledger *ledger, const char *sql)
{
    run(ledger->db, sql);
}

void ledger_make(struct ledger *ledger)
{
    sqlite3 *db = ledger->db;
    run(db, "BEGIN IMMEDIATE");
    run(db, schema);
    for (int i = 0; i < ACCOUNTS; i++) {
        sqlite3_stmt *s =
            prepare(db, "INSERT INTO accounts VALUES (printf('account-%02d', ?1), ?2)");
        (void)sqlite3_bind_int(s, 1, i);
        (void)sqlite3_bind_int(s, 2, CENTS_AT_START);
        finish(db, s);
    }
    run(db, "INSERT INTO accounts VALUES ('shop', 0)");
    run(db, "COMMIT");
}

static int64_t number_of(sqlite3 *db, const char *query, const char *parameter)
{
    sqlite3_stmt *s = prepare(db, query);
    if (parameter != NULL) (void)sqlite3_bind_text(s, 1, parameter, -1, SQLITE_STATIC);
    if (sqlite3_step(s) != SQLITE_ROW) fail(db, query);
    int64_t number = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return number;
}

int64_t ledger_number(struct ledger *ledger, const char *query, const char *parameter)
{
    return number_of(ledger->db, query, parameter);
}

int64_t ledger_sum(struct ledger *ledger)
{
    return number_of(ledger->db, "SELECT sum(cents) FROM accounts", NULL);
}

static int64_t balance_of(sqlite3 *db, const char *account)
{
    return number_of(db, "SELECT cents FROM accounts WHERE id = ?1", account);
}

static void set_balance(sqlite3 *db, const char *account, int64_t cents)
{
    sqlite3_stmt *s = prepare(db, "UPDATE accounts SET cents = ?2 WHERE id = ?1");
    (void)sqlite3_bind_text(s, 1, account, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, cents);
    finish(db, s);
}

static void book(sqlite3 *db, const struct payment *p, const char *receipt)
{
    sqlite3_stmt *s = prepare(db, "UPDATE accounts SET cents = cents + ?1 WHERE id = 'shop'");
    (void)sqlite3_bind_int64(s, 1, p->cents);
    finish(db, s);
    s = prepare(db, "INSERT INTO transfers VALUES (?1, ?2, ?3, ?4, ?5)");
    (void)sqlite3_bind_text(s, 1, p->id, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 2, p->account, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 3, p->cents);
    (void)sqlite3_bind_text(s, 4, receipt, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 5, now_ms());
    finish(db, s);
}

/* Claim the account for `token`, in the transaction under way. \return 0 if it is fenced off. */
static int claim(sqlite3 *db, const struct payment *p, uint64_t token)
{
    sqlite3_stmt *s = prepare(db, claim_guard);
    (void)sqlite3_bind_text(s, 1, p->account, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, (int64_t)token); /* tokens are below 2^63 */
    finish(db, s);
    return sqlite3_changes(db) == 1;
}

enum moved ledger_move(struct ledger *ledger, const struct payment *p, uint64_t token,
                       char *receipt)
{
    sqlite3 *db = ledger->db;
    run(db, "BEGIN IMMEDIATE");
    if (!claim(db, p, token)) {
        run(db, "ROLLBACK");
        return MOVED_NOT_FENCED;
    }
    int64_t cents = balance_of(db, p->account); /* behind the claim: nobody older writes any more */
    if (cents < p->cents) {
        run(db, "ROLLBACK");
        return MOVED_NOT_FUNDS;
    }
    (void)snprintf(receipt, RECEIPT_BYTES, "receipt-%s-%" PRId64 "-%" PRIu64, p->id, p->cents,
                   token);
    set_balance(db, p->account, cents - p->cents);
    book(db, p, receipt);
    run(db, "COMMIT");
    return MOVED;
}

int ledger_ask(struct ledger *ledger, const struct payment *p, uint64_t token, char *receipt)
{
    sqlite3 *db = ledger->db;
    int booked = 0;
    run(db, "BEGIN IMMEDIATE");
    if (!claim(db, p, token)) {
        run(db, "ROLLBACK");
        return -1;
    }
    sqlite3_stmt *s = prepare(db, "SELECT receipt FROM transfers WHERE payment = ?1");
    (void)sqlite3_bind_text(s, 1, p->id, -1, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW) {
        (void)snprintf(receipt, RECEIPT_BYTES, "%s", (const char *)sqlite3_column_text(s, 0));
        booked = 1;
    }
    sqlite3_finalize(s);
    run(db, "COMMIT");
    return booked;
}

void ledger_move_naively(struct ledger *ledger, const struct payment *p)
{
    sqlite3 *db = ledger->db;
    int64_t cents = balance_of(db, p->account);
    (void)usleep(THINKING_US); /* checks, a log line, a call to another service: time passes */
    run(db, "BEGIN IMMEDIATE");
    set_balance(db, p->account, cents - p->cents);
    book(db, p, "none");
    run(db, "COMMIT");
}
