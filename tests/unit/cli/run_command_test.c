/* Running a command under a lease, with a lease of the test's own: no server, real processes. */
#include "client/cli/run_command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/cli/gate.h"
#include "tests/unit/cmocka_all.h"

enum { LEASE_MS = 1000 };

static uint64_t now_ms(void)
{
    struct clock clock = clock_real();
    return clock_elapsed_ms(&clock);
}

/* The lease is a moment; *data is when it ends. */
static uint64_t left_until(void *data)
{
    const uint64_t *end = data;
    uint64_t now = now_ms();
    return *end > now ? *end - now : 0;
}

/* Run a shell script under a lease of `lease_ms` that ends at `end_ms` (0 = none is watched). */
static struct run_result run_leased(const char *script, uint64_t lease_ms, uint64_t end_ms,
                                    struct buffer *capture)
{
    char *const command[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    struct run_result result;
    const struct run_order order = {
        .command = command,
        .token = 42,
        .lease_ms = lease_ms,
        .left_ms = end_ms != 0 ? left_until : NULL,
        .data = &end_ms,
        .capture = capture,
    };
    run_command(&order, &result);
    return result;
}

static struct run_result run_script(const char *script, uint64_t end_ms, struct buffer *capture)
{
    return run_leased(script, LEASE_MS, end_ms, capture);
}

/* The command's own exit code comes back, and 128 + N for signal N. */
static void test_exit_code_is_the_commands_own(void **state)
{
    (void)state;
    struct run_result result = run_script("exit 7", 0, NULL);
    assert_int_equal(result.exit_code, 7);
    assert_int_equal(result.signal, 0);
    assert_false(result.stopped);
    result = run_script("kill -KILL $$", 0, NULL);
    assert_int_equal(result.exit_code, 128 + SIGKILL);
    assert_int_equal(result.signal, SIGKILL);
}

/* The command finds the fencing token in its environment. */
static void test_token_is_in_the_environment(void **state)
{
    (void)state;
    assert_int_equal(run_script("test \"$HOLDFAST_TOKEN\" = 42", 0, NULL).exit_code, 0);
}

/* A command that is not there is told from one that failed. */
static void test_missing_command_is_an_error(void **state)
{
    char *const command[] = {"/nonexistent/command", NULL};
    const struct run_order order = {.command = command};
    struct run_result result;
    (void)state;
    run_command(&order, &result);
    assert_int_equal(result.error, ENOENT);
}

/* Output beyond the capture's maximum is counted and shown, but not kept. */
static void test_output_is_captured_up_to_its_maximum(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 10);
    int shown = dup(STDOUT_FILENO);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(dup2(null, STDOUT_FILENO) >= 0);
    struct run_result result = run_script("printf 0123456789abcdef", 0, &b);
    assert_true(dup2(shown, STDOUT_FILENO) >= 0);
    (void)close(null);
    (void)close(shown);
    assert_int_equal(result.out_bytes, 16);
    assert_int_equal(b.size, 10);
    assert_memory_equal(b.data, "0123456789", 10);
    buffer_close(&b);
}

static uint64_t left_long(void *data)
{
    (void)data;
    return 3600000;
}

/* Once the command has made this file: by then it listens. */
static bool gives_back(void *data)
{
    return access(data, F_OK) == 0;
}

/* What is to be given back ends with TERM, and has all the time it needs: the lease goes on. */
static void test_what_is_given_back_gets_term_alone(void **state)
{
    (void)state;
    char path[] = "/tmp/holdfast-asked-XXXXXX";
    char script[256];
    assert_non_null(mkdtemp(path));
    (void)snprintf(script, sizeof script,
                   "trap 'sleep 0.2; rmdir %s/on %s; exit 3' TERM; mkdir %s/on; "
                   "while :; do sleep 0.01; done",
                   path, path, path);
    char on[sizeof path + 3];
    (void)snprintf(on, sizeof on, "%s/on", path);
    char *const command[] = {"sh", "-c", script, NULL};
    struct run_result result;
    const struct run_order order = {
        .command = command,
        .token = 42,
        .lease_ms = LEASE_MS,
        .left_ms = left_long,
        .gives_back = gives_back,
        .data = on,
    };
    run_command(&order, &result);
    assert_int_equal(result.error, 0);
    assert_int_equal(result.exit_code, 3);
    assert_true(result.stopped);
    assert_true(result.given_back);
    assert_int_equal(access(path, F_OK), -1);
}

/* A lease that runs out brings TERM while there is time to clean up. */
static void test_term_comes_before_the_lease_ends(void **state)
{
    (void)state;
    /* TERM comes with 3 s left, half a second from now: slow machines have time for their trap. */
    struct run_result result = run_leased("trap 'exit 9' TERM; while :; do sleep 0.01; done", 20000,
                                          now_ms() + RUN_TERM_LEFT_MS_MAX + 500, NULL);
    assert_true(result.stopped);
    assert_int_equal(result.exit_code, 9);
}

/* One that does not listen is killed, with all of its group, also those that it left behind. */
static void test_group_is_killed_by_the_deadline(void **state)
{
    int fds[2];
    char script[160];
    char byte;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    /* A grandchild holds the pipe open; its end of file is the proof that it is gone. */
    (void)snprintf(script, sizeof script,
                   "trap '' TERM; (while :; do sleep 1; done) >&%d & wait; "
                   "while :; do sleep 1; done",
                   fds[1]);
    struct run_result result = run_script(script, now_ms() + LEASE_MS, NULL);
    (void)close(fds[1]);
    assert_true(result.stopped);
    assert_int_equal(result.signal, SIGKILL);
    assert_int_equal(read(fds[0], &byte, 1), 0);
    (void)close(fds[0]);
}

/* A stopped command cannot act on TERM; it is woken for it. */
static void test_stopped_command_is_ended_as_well(void **state)
{
    (void)state;
    struct run_result result = run_script("kill -STOP $$; exit 0", now_ms() + LEASE_MS, NULL);
    assert_true(result.stopped);
    assert_int_not_equal(result.exit_code, 0);
}

/* Run a long command in a process of its own, do `number` to that process, and wait for the end of
 * all that the command started: they hold a named pipe open, and write to it if they are let. */
static void end_after(int number)
{
    char path[] = "/tmp/holdfast-fifo-XXXXXX";
    char script[160];
    char byte;
    int named = mkstemp(path);
    assert_true(named >= 0);
    (void)close(named);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)snprintf(script, sizeof script,
                   "exec 9> %s; trap '' TERM; echo >&9; (sleep 20; echo >&9) & sleep 20; echo >&9",
                   path);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)run_script(script, now_ms() + LEASE_MS, NULL);
        _exit(0);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &byte, 1), 1); /* it runs */
    assert_int_equal(kill(pid, number), 0);
    assert_int_equal(read(fd, &byte, 1), 0); /* nothing of it runs */
    (void)close(fd);
    (void)unlink(path);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Who is killed cannot watch; the warden does. */
static void test_command_does_not_outlive_a_killed_runner(void **state)
{
    (void)state;
    end_after(SIGKILL);
}

/* Who is stopped cannot either. */
static void test_command_does_not_outlive_the_lease_of_a_stopped_runner(void **state)
{
    (void)state;
    end_after(SIGSTOP);
}

/* A runner that dies before the gate opens leaves nothing: the command never ran. */
static void test_command_behind_a_closed_gate_never_runs(void **state)
{
    (void)state;
    char path[] = "/tmp/holdfast-gate-XXXXXX";
    struct gate gate;
    sigset_t none;
    (void)sigemptyset(&none);
    int named = mkstemp(path);
    assert_true(named >= 0);
    (void)close(named);
    char *const command[] = {"rm", path, NULL};
    assert_int_equal(gate_start(&gate, command, -1, &none), 0);
    assert_int_equal(getpgid(gate.pid), gate.pid); /* it can be told to the warden */
    gate_close(&gate);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(gate_start(&gate, command, -1, &none), 0);
    assert_int_equal(gate_open(&gate), 0);
    assert_int_equal(waitpid(gate.pid, NULL, 0), gate.pid);
    assert_int_equal(access(path, F_OK), -1);
}

/* Signals that are meant for us are meant for the command. */
static void test_signals_are_passed_on(void **state)
{
    (void)state;
    struct run_result result =
        run_script("trap 'exit 5' USR1; kill -USR1 $PPID; while :; do sleep 0.01; done", 0, NULL);
    assert_int_equal(result.exit_code, 5);
    assert_false(result.stopped);
}

/* TERM is early by a fifth of the lease, within bounds. */
static void test_term_is_early_enough(void **state)
{
    (void)state;
    assert_int_equal(run_term_left_ms(500), RUN_TERM_LEFT_MS_MIN);
    assert_int_equal(run_term_left_ms(10000), 2000);
    assert_int_equal(run_term_left_ms(3600000), RUN_TERM_LEFT_MS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_code_is_the_commands_own),
        cmocka_unit_test(test_token_is_in_the_environment),
        cmocka_unit_test(test_missing_command_is_an_error),
        cmocka_unit_test(test_output_is_captured_up_to_its_maximum),
        cmocka_unit_test(test_what_is_given_back_gets_term_alone),
        cmocka_unit_test(test_term_comes_before_the_lease_ends),
        cmocka_unit_test(test_group_is_killed_by_the_deadline),
        cmocka_unit_test(test_stopped_command_is_ended_as_well),
        cmocka_unit_test(test_command_does_not_outlive_a_killed_runner),
        cmocka_unit_test(test_command_behind_a_closed_gate_never_runs),
        cmocka_unit_test(test_command_does_not_outlive_the_lease_of_a_stopped_runner),
        cmocka_unit_test(test_signals_are_passed_on),
        cmocka_unit_test(test_term_is_early_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
