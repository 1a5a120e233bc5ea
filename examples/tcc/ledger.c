/* See the header. */
#include "examples/tcc/ledger.h"

#include <holdfast_tcc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct ledger {
    sqlite3 *db; /* owned */
    int guarded; /* claim before anything else */
};

enum { BUSY_MS = 20000 };

static const char schema[] =
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0), closed "
    "INTEGER NOT NULL);"
    "CREATE TABLE holds(gid TEXT, branch TEXT, account TEXT, cents INTEGER);"
    "CREATE TABLE entries(gid TEXT, branch TEXT, account TEXT, cents INTEGER);"
    "CREATE INDEX holds_by_gid ON holds(gid, branch);" /* to find them; nothing is unique */
    "CREATE INDEX entries_by_gid ON entries(gid, branch);"
    "CREATE TABLE holdfast_guard(gid TEXT, branch TEXT, token INTEGER NOT NULL, PRIMARY KEY (gid, "
    "branch));";

static void fail(sqlite3 *db, const char *what)
{
    fprintf(stderr, "ledger: cannot %s: %s\n", what, db != NULL ? sqlite3_errmsg(db) : "no memory");
    exit(1);
}

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail(db, sql);
}

/* A statement with what a leg says: ?1 gid, ?2 branch, ?3 account, ?4 cents, ?5 `number`. */
static sqlite3_stmt *prepare(const struct leg *leg, const char *sql, int64_t number)
{
    sqlite3 *db = leg->ledger->db;
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) fail(db, sql);
    (void)sqlite3_bind_text(s, 1, leg->gid, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 2, leg->branch, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 3, leg->account, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 4, leg->cents);
    (void)sqlite3_bind_int64(s, 5, number);
    return s;
}

/* \return how many rows it changed. */
static int change(const struct leg *leg, const char *sql, int64_t number)
{
    sqlite3 *db = leg->ledger->db;
    sqlite3_stmt *s = prepare(leg, sql, number);
    if (sqlite3_step(s) != SQLITE_DONE) fail(db, sql);
    sqlite3_finalize(s);
    return sqlite3_changes(db);
}

/* The first column of the first row; `none` if there is no row. */
static int64_t look_up(const struct leg *leg, const char *sql, int64_t none)
{
    sqlite3_stmt *s = prepare(leg, sql, 0);
    int rv = sqlite3_step(s);
    if (rv != SQLITE_ROW && rv != SQLITE_DONE) fail(leg->ledger->db, sql);
    int64_t number = rv == SQLITE_ROW ? sqlite3_column_int64(s, 0) : none;
    sqlite3_finalize(s);
    return number;
}

/* ------------------------------------------------------------------ phases */

/* 0: a greater token has been here. Contract, 5. */
static int claim(const struct leg *leg, uint64_t token)
{
    if (!leg->ledger->guarded) return 1;
    return change(leg,
                  "INSERT INTO holdfast_guard(gid, branch, token) VALUES (?1, ?2, ?5) "
                  "ON CONFLICT (gid, branch) DO UPDATE SET token = excluded.token "
                  "WHERE holdfast_guard.token <= excluded.token",
                  (int64_t)token) == 1; /* tokens are below 2^63 */
}

/* Behind the claim: nobody older writes any more, so what is read stays true. */
static int is_held(const struct leg *leg)
{
    return look_up(leg, "SELECT 1 FROM holds WHERE gid = ?1 AND branch = ?2", 0) != 0;
}

static uint32_t try_leg(const struct leg *leg)
{
    if (is_held(leg)) return CODE_DONE; /* an earlier attempt's, who could not tell any more */
    if (look_up(leg, "SELECT closed FROM accounts WHERE id = ?3", 1) != 0) return CODE_CLOSED;
    if (leg->cents < 0) {
        int64_t cents = look_up(leg, "SELECT cents FROM accounts WHERE id = ?3", 0);
        if (cents + leg->cents < 0) return CODE_FUNDS;
        (void)change(leg, "UPDATE accounts SET cents = cents + ?4 WHERE id = ?3", 0);
    }
    (void)change(leg, "INSERT INTO holds VALUES (?1, ?2, ?3, ?4)", 0);
    return CODE_DONE;
}

static void confirm_leg(const struct leg *leg)
{
    if (!is_held(leg)) return; /* an earlier attempt has done it */
    (void)change(leg, "INSERT INTO entries VALUES (?1, ?2, ?3, ?4)", 0);
    if (leg->cents > 0)
        (void)change(leg, "UPDATE accounts SET cents = cents + ?4 WHERE id = ?3", 0);
    (void)change(leg, "DELETE FROM holds WHERE gid = ?1 AND branch = ?2", 0);
}

static void cancel_leg(const struct leg *leg)
{
    if (!is_held(leg)) return; /* never tried, refused, or an earlier attempt has done it */
    if (leg->cents < 0)
        (void)change(leg, "UPDATE accounts SET cents = cents - ?4 WHERE id = ?3", 0);
    (void)change(leg, "DELETE FROM holds WHERE gid = ?1 AND branch = ?2", 0);
}

enum phase_result ledger_phase(const struct leg *leg, int op, uint64_t token, uint32_t *code)
{
    sqlite3 *db = leg->ledger->db;
    run(db, "BEGIN IMMEDIATE");
    if (!claim(leg, token)) {
        run(db, "ROLLBACK");
        return PHASE_FENCED;
    }
    *code = CODE_DONE;
    if (op == HF_BRANCH_TRY) *code = try_leg(leg);
    if (op == HF_BRANCH_CONFIRM) confirm_leg(leg);
    if (op == HF_BRANCH_CANCEL) cancel_leg(leg);
    run(db, "COMMIT"); /* the claim, too, where nothing else was written */
    return *code == CODE_DONE ? PHASE_COMMITTED : PHASE_REFUSED;
}

/* ------------------------------------------------------------------ around it */

struct ledger *ledger_open(const char *path, int guarded)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) fail(NULL, "open the ledger");
    ledger->guarded = guarded;
    if (sqlite3_open(path, &ledger->db) != SQLITE_OK) fail(ledger->db, "open the ledger");
    (void)sqlite3_busy_timeout(ledger->db, BUSY_MS);
    run(ledger->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
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
    run(ledger->db, "BEGIN IMMEDIATE");
    run(ledger->db, schema);
    for (int i = 0; i < count; i++) {
        const struct leg leg = {
            .ledger = ledger, .gid = "", .branch = "", .account = name, .cents = cents};
        (void)snprintf(name, sizeof name, "%d", i);
        (void)change(&leg, "INSERT INTO accounts VALUES (?3, ?4, ?5)", i + 1 == count);
    }
    run(ledger->db, "COMMIT");
}

int64_t ledger_number(struct ledger *ledger, const char *query, const char *parameter)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(ledger->db, query, -1, &s, NULL) != SQLITE_OK) fail(ledger->db, query);
    if (parameter != NULL) (void)sqlite3_bind_text(s, 1, parameter, -1, SQLITE_STATIC);
    if (sqlite3_step(s) != SQLITE_ROW) fail(ledger->db, query);
    int64_t number = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return number;
}
