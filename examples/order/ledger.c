/* See the header. Every statement knows ?1, the order's id, and ?2, a number. */
#include "examples/order/ledger.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct ledger {
    sqlite3 *db; /* owned */
};

enum { BUSY_MS = 20000 };

static const char schema[] =
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0));"
    "CREATE TABLE orders(id TEXT PRIMARY KEY, account TEXT NOT NULL, cents INTEGER NOT NULL, "
    "state INTEGER NOT NULL, held INTEGER NOT NULL, "
    "token INTEGER NOT NULL);"                                 /* the greatest that was here */
    "CREATE TABLE entries(id TEXT, what TEXT, cents INTEGER);" /* nothing is unique */
    "CREATE INDEX entries_by_id ON entries(id, what);";

static void fail(sqlite3 *db, const char *what)
{
    fprintf(stderr, "ledger: cannot %s: %s\n", what, db != NULL ? sqlite3_errmsg(db) : "no memory");
    exit(1);
}

static void run(struct ledger *ledger, const char *sql)
{
    if (sqlite3_exec(ledger->db, sql, NULL, NULL, NULL) != SQLITE_OK) fail(ledger->db, sql);
}

static sqlite3_stmt *prepare(struct ledger *ledger, const char *sql, const char *id, int64_t number)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(ledger->db, sql, -1, &s, NULL) != SQLITE_OK) fail(ledger->db, sql);
    if (id != NULL) (void)sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, number);
    return s;
}

/* \return how many rows it changed. */
static int change(struct ledger *ledger, const char *sql, const char *id, int64_t number)
{
    sqlite3_stmt *s = prepare(ledger, sql, id, number);
    if (sqlite3_step(s) != SQLITE_DONE) fail(ledger->db, sql);
    sqlite3_finalize(s);
    return sqlite3_changes(ledger->db);
}

int64_t ledger_number(struct ledger *ledger, const char *query, const char *parameter)
{
    sqlite3_stmt *s = prepare(ledger, query, parameter, 0);
    if (sqlite3_step(s) != SQLITE_ROW) fail(ledger->db, query);
    int64_t number = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return number;
}

/* ------------------------------------------------------------------ inside a transaction */

static enum order_state state_of(struct ledger *ledger, const char *id)
{
    return (enum order_state)ledger_number(ledger, "SELECT state FROM orders WHERE id = ?1", id);
}

static int is_held(struct ledger *ledger, const char *id)
{
    return ledger_number(ledger, "SELECT held FROM orders WHERE id = ?1", id) != 0;
}

static void release_hold(struct ledger *ledger, const char *id)
{
    if (!is_held(ledger, id)) return; /* never taken, or somebody has given it back */
    (void)change(ledger,
                 "UPDATE accounts SET cents = cents + (SELECT cents FROM orders WHERE id = ?1) "
                 "WHERE id = (SELECT account FROM orders WHERE id = ?1)",
                 id, 0);
    (void)change(ledger, "UPDATE orders SET held = 0 WHERE id = ?1", id, 0);
}

static void end_order(struct ledger *ledger, const char *id, enum order_state state)
{
    (void)change(ledger, "UPDATE orders SET state = ?2, held = 0 WHERE id = ?1", id, state);
    (void)change(ledger,
                 state == ORDER_PAID
                     ? "INSERT INTO entries SELECT id, 'paid', cents FROM orders WHERE id = ?1"
                     : "INSERT INTO entries VALUES (?1, 'expired', 0)",
                 id, 0);
}

/* ------------------------------------------------------------------ what may be done again */

int ledger_hold(struct ledger *ledger, const char *id, enum order_state *state)
{
    int can = 1;
    run(ledger, "BEGIN IMMEDIATE");
    *state = state_of(ledger, id);
    if (*state == ORDER_OPEN && !is_held(ledger, id)) {
        can = ledger_number(ledger,
                            "SELECT a.cents >= o.cents FROM orders o JOIN accounts a "
                            "ON a.id = o.account WHERE o.id = ?1",
                            id) != 0;
        if (can) {
            (void)change(ledger,
                         "UPDATE accounts SET cents = cents - (SELECT cents FROM orders "
                         "WHERE id = ?1) WHERE id = (SELECT account FROM orders WHERE id = ?1)",
                         id, 0);
            (void)change(ledger, "UPDATE orders SET held = 1 WHERE id = ?1", id, 0);
        }
    }
    run(ledger, "COMMIT");
    return can;
}

int ledger_book(struct ledger *ledger, const char *id)
{
    run(ledger, "BEGIN IMMEDIATE");
    enum order_state state = state_of(ledger, id);
    if (state == ORDER_OPEN) {
        (void)change(ledger,
                     "UPDATE accounts SET cents = cents + (SELECT cents FROM orders WHERE id = ?1) "
                     "WHERE id = 'shop'",
                     id, 0);
        end_order(ledger, id, ORDER_PAID);
    }
    run(ledger, "COMMIT");
    return state != ORDER_EXPIRED;
}

void ledger_give_back(struct ledger *ledger, const char *id)
{
    run(ledger, "BEGIN IMMEDIATE");
    release_hold(ledger, id);
    run(ledger, "COMMIT");
}

/* Claim, then read, then write: behind the claim no older delivery writes any more. Contract, 5. */
enum expiry ledger_expire(struct ledger *ledger, const char *id, uint64_t token)
{
    run(ledger, "BEGIN IMMEDIATE");
    if (change(ledger, "UPDATE orders SET token = ?2 WHERE id = ?1 AND token <= ?2", id,
               (int64_t)token) == 0) { /* tokens are below 2^63 */
        run(ledger, "ROLLBACK");
        return EXPIRY_FENCED;
    }
    enum order_state state = state_of(ledger, id);
    if (state == ORDER_OPEN) {
        release_hold(ledger, id); /* a payer may have died in front of the arbiter */
        end_order(ledger, id, ORDER_EXPIRED);
    }
    run(ledger, "COMMIT");
    return state == ORDER_PAID ? EXPIRY_PAID : EXPIRY_COMMITTED;
}

/* ------------------------------------------------------------------ around it */

struct ledger *ledger_open(const char *path)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) fail(NULL, "open the ledger");
    if (sqlite3_open(path, &ledger->db) != SQLITE_OK) fail(ledger->db, "open the ledger");
    (void)sqlite3_busy_timeout(ledger->db, BUSY_MS);
    run(ledger, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    return ledger;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger == NULL) return;
    (void)sqlite3_close(ledger->db);
    free(ledger);
}

void ledger_make(struct ledger *ledger, int count, int64_t cents)
{
    char name[16];
    run(ledger, "BEGIN IMMEDIATE");
    run(ledger, schema);
    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        (void)change(ledger, "INSERT INTO accounts VALUES (?1, ?2)", name, cents);
    }
    (void)change(ledger, "INSERT INTO accounts VALUES (?1, ?2)", "shop", 0);
    run(ledger, "COMMIT");
}

void ledger_place(struct ledger *ledger, const struct order *order)
{
    sqlite3_stmt *s = prepare(ledger, "INSERT OR IGNORE INTO orders VALUES (?1, ?3, ?2, 0, 0, 0)",
                              order->id, order->cents);
    (void)sqlite3_bind_text(s, 3, order->account, -1, SQLITE_STATIC);
    if (sqlite3_step(s) != SQLITE_DONE) fail(ledger->db, "place an order");
    sqlite3_finalize(s);
}
