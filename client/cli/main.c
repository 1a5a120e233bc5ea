/* holdfast: the command line. Finds the verb, opens nothing before the verb's arguments are known
 * to make sense, closes what the verb opened, and checks that standard output took everything. */
#include "client/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/args.h"
#include "client/cli/secrets_file.h"

enum { CLOSE_SECONDS = 2 };

static const struct verb *const verbs[] = {
    &verb_status,   &verb_locks,    &verb_records, &verb_record, &verb_resolve, &verb_branches,
    &verb_branch,   &verb_watch,    &verb_events,  &verb_reopen, &verb_erase,   &verb_derive,
    &verb_export,   &verb_sessions, &verb_lock,    &verb_permit, &verb_elect,   &verb_register,
    &verb_discover, &verb_once,     &verb_bench,   &verb_config, &verb_audit,   &verb_freeze,
    &verb_thaw,     &verb_frozen,   &verb_force,   &verb_revoke, &verb_timer,
};

static const char help_tail[] =
    "  help       [VERB]                         this text, or a verb's\n"
    "\n"
    "Options, before the verb or among its own:\n"
    "  --servers HOST:PORT,...   the cluster's client addresses; else $HOLDFAST_SERVERS, else\n"
    "                            127.0.0.1:7420\n"
    "  --json                    one JSON document on standard output, for programs; fencing\n"
    "                            tokens and session ids are strings in it; verbs that only\n"
    "                            act print none\n"
    "  --timeout MS              how long a server may take to answer, beyond --wait; default "
    "10,000,\n"
    "                            for the verbs that only look 5,000\n"
    "  --stale                   lists and looks: let any server answer, as far as it has come,\n"
    "                            also while no majority runs; what is shown may be past\n"
    "  --help, --version\n"
    "Where MS is asked for, 90s, 5m, 1h and 2d are understood as well as milliseconds.\n"
    "\n"
    "$HOLDFAST_HISTORY, for tests of a cluster: append what is asked and answered to that file.\n"
    "\n"
    "Exit codes:\n"
    "    0  done. `lock`, `permit`, `elect`, `register`, `once`: the exit code of COMMAND,\n"
    "       128 + N if signal N ended it\n"
    "   64  the arguments make no sense; nothing was done\n"
    "   65  another fingerprint (once) or another token or state (resolve) is stored\n"
    "   66  nothing is stored under that name, or its result is no longer kept\n"
    "   69  UNKNOWN: an attempt died and may have had its effect; or no server answered\n"
    "   70  the lease was lost: COMMAND was stopped, or its result came too late to count\n"
    "   71  this machine refused memory, a process or a pipe\n"
    "   74  `once`: COMMAND had succeeded, but only the first 64 KiB of its output were kept\n"
    "   75  not acquired, still running elsewhere, or the servers are busy: try again\n"
    "   76  the server refused the request or answered what this version does not understand\n"
    "  126  COMMAND cannot be run    127  there is no such COMMAND\n"
    "Every failure prints one sentence on standard error.\n";

static int print_help(void)
{
    printf("holdfast: locks with fencing tokens and idempotency records, from the shell\n\n"
           "  holdfast [--servers HOST:PORT,...] [--json] VERB ...\n\nVerbs:\n");
    for (size_t i = 0; i < HF_ARRAY_COUNT(verbs); i++) {
        bool bare = verbs[i]->synopsis[0] == '\0';
        printf(bare ? "  %s%s" : "  %-10s %s", verbs[i]->name, verbs[i]->synopsis);
        printf("\n  %10s   %s\n", "", verbs[i]->summary);
    }
    printf("%s", help_tail);
    return CLI_OK;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < HF_ARRAY_COUNT(verbs); i++) {
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    }
    return NULL;
}

/* The close that must not keep the caller of a script waiting for a server that is gone. */
static volatile sig_atomic_t exit_code_due;

static void on_alarm(int number)
{
    (void)number;
    _exit(exit_code_due);
}

/* Close the session, which frees its grants at once; after CLOSE_SECONDS leave it to its lease. */
static void close_client(struct cli *cli, int exit_code)
{
    struct sigaction leave = {.sa_handler = on_alarm};
    if (cli->client == NULL) return;
    (void)fflush(stdout);
    exit_code_due = exit_code;
    (void)sigaction(SIGALRM, &leave, NULL);
    (void)alarm(CLOSE_SECONDS);
    hf_client_close(cli->client);
    (void)alarm(0);
}

static int run_verb(struct cli *cli, int argc, char **argv)
{
    const struct verb *verb = find_verb(argv[0]);
    if (verb == NULL) {
        return cli_fail(CLI_USAGE, "there is no verb \"%s\"; `holdfast help` lists them", argv[0]);
    }
    int rv = verb->run(cli, verb, argc, argv);
    close_client(cli, rv);
    return rv;
}

static int run_help(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "help") == 0) return print_help();
    const struct verb *verb = find_verb(argv[1]);
    if (verb != NULL) return args_help(verb);
    return cli_fail(CLI_USAGE, "there is no verb \"%s\"; `holdfast help` lists them", argv[1]);
}

/* The options before the verb, then the verb. Behind the verb args_parse() knows the same ones. */
static int run(struct cli *cli, int argc, char **argv)
{
    static const struct verb whole = {.name = "", .synopsis = "VERB ..."};
    struct args args;
    int i = 1;
    while (i < argc && argv[i][0] == '-') {
        if (strcmp(argv[i], "--version") == 0) {
            printf("holdfast %s\n", HOLDFAST_VERSION);
            return CLI_OK;
        }
        bool pair = strcmp(argv[i], "--servers") == 0 || strcmp(argv[i], "--timeout") == 0;
        int words = pair && i + 1 < argc ? 2 : 1;
        int rv = args_parse(cli, &whole, words + 1, argv + i - 1, NULL, 0, &args);
        if (rv != CLI_OK) return rv;
        if (args.help) return print_help();
        i += words;
    }
    if (i == argc) {
        return cli_fail(CLI_USAGE, "no verb was given; `holdfast help` lists them");
    }
    if (strcmp(argv[i], "help") == 0) return run_help(argc - i, argv + i);
    return run_verb(cli, argc - i, argv + i);
}

int cli_open(struct cli *cli, uint64_t ttl_ms, uint64_t timeout_ms,
             void (*lost_cb)(hf_client *client, const hf_loss *loss, void *data))
{
    hf_options options;
    hf_options_init(&options);
    options.servers = cli->servers;
    options.lost_cb = lost_cb;
    options.asked_cb = cli->asked_cb;
    options.stale_reads = cli->stale;
    const char *history = getenv("HOLDFAST_HISTORY");
    if (history != NULL && history[0] != '\0') options.history_path = history;
    if (cli->secrets != NULL) {
        options.secrets = cli->secrets->items;
        options.secret_count = cli->secrets->count;
    }
    if (ttl_ms != 0) options.ttl_ms = ttl_ms;
    if (timeout_ms != 0) options.timeout_ms = timeout_ms;
    if (cli->timeout_ms != 0) options.timeout_ms = cli->timeout_ms;
    /* To the library an empty list is none: the default. Here somebody's variable was empty. */
    int rv = cli->servers[0] != '\0' ? hf_client_open(&options, &cli->client) : HF_EINVAL;
    if (rv == HF_OK) return CLI_OK;
    if (rv == HF_EIO && options.history_path != NULL)
        return cli_fail(CLI_SYSTEM,
                        "the history \"%s\" cannot be appended to; name a file in a directory that "
                        "takes one, or unset HOLDFAST_HISTORY",
                        history);
    if (rv != HF_EINVAL) return cli_fail_status(cli, rv, "start the client");
    return cli_fail(CLI_USAGE,
                    "the servers \"%s\" cannot be used; name them as HOST:PORT,HOST:PORT",
                    cli->servers);
}

int main(int argc, char **argv)
{
    const char *servers = getenv("HOLDFAST_SERVERS");
    struct cli cli = {
        .servers = servers != NULL && servers[0] != '\0' ? servers : "127.0.0.1:7420",
    };
    int rv = run(&cli, argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE && rv == CLI_OK) {
        rv = cli_fail(CLI_SYSTEM, "standard output did not take everything; make room and repeat");
    }
    return rv;
}
