#include "examples/postgres/guarded.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 24 };

static void fail(const PGconn *db, const char *what)
{
    fprintf(stderr, "ledger: cannot %s: %s", what, PQerrorMessage(db)); /* it ends with a newline */
    exit(1);
}

PGconn *guarded_connect(const char *where)
{
    PGconn *db = PQconnectdb(where);
    if (PQstatus(db) != CONNECTION_OK) fail(db, "connect");
    /* Each statement behind the claim then sees what older holders had committed by the claim. */
    guarded_do(db, "SET default_transaction_isolation = 'read committed'", 0, NULL);
    /* Who is paused inside a transaction holds the guard's row: the server ends that for us. */
    guarded_do(db, "SET idle_in_transaction_session_timeout = '10s'", 0, NULL);
    return db;
}

PGresult *guarded_run(PGconn *db, const char *sql, int count, const char *const *parameters)
{
    PGresult *result = PQexecParams(db, sql, count, NULL, parameters, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(db, sql);
    return result;
}

void guarded_do(PGconn *db, const char *sql, int count, const char *const *parameters)
{
    PQclear(guarded_run(db, sql, count, parameters));
}

int64_t guarded_number(PGconn *db, const char *sql, int count, const char *const *parameters)
{
    PGresult *result = guarded_run(db, sql, count, parameters);
    if (PQntuples(result) != 1) {
        fprintf(stderr, "ledger: no such row: %s\n", sql);
        exit(1);
    }
    int64_t number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

int guarded_begin(PGconn *db, const char *resource, uint64_t token)
{
    char number[NUMBER_BYTES];
    const char *const parameters[] = {resource, number};
    (void)snprintf(number, sizeof number, "%" PRIu64, token);
    guarded_do(db, "BEGIN", 0, NULL);
    PGresult *result =
        PQexecParams(db, "SELECT holdfast_claim($1, $2)", 2, NULL, parameters, NULL, NULL, 0);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    int claimed = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!claimed && (state == NULL || strcmp(state, "TOKEN") != 0)) fail(db, "claim the guard");
    PQclear(result);
    if (!claimed) guarded_do(db, "ROLLBACK", 0, NULL);
    return claimed;
}
