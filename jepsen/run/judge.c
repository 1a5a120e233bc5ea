#include "jepsen/run/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "jepsen/command.h"
#include "jepsen/run/child.h"

enum { CHECK_MS_MAX = 300000, TEXT_BYTES_MAX = 1 << 20, WHY_BYTES = 200 };

/* \return its exit code, -1 if it had none in time. */
static int run_check(const struct world *w, const char *model, const char *text)
{
    const char *const arguments[] = {"/proc/self/exe", "check", "--model", model, w->history, NULL};
    struct child c = {.arguments = arguments, .log = text, .network = -1};
    int status = 0;
    pid_t pid = child_start(&c);
    if (pid < 0) return -1;
    if (child_wait(pid, CHECK_MS_MAX, &status)) return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    child_kill(pid);
    return CHECK_UNDECIDED;
}

/* Where it says that the history breaks, in seconds: the call of the first operation that is
 * "without explanation:", or a moment, "at SECONDS". */
static uint64_t find_violation(const char *text)
{
    const char *at = strstr(text, "without explanation:");
    if (at != NULL && (at = strstr(at, "line ")) != NULL) {
        char *end;
        (void)strtoull(at + strlen("line "), &end, 10);
        return (uint64_t)(strtod(end, NULL) * 1e9);
    }
    for (at = text; (at = strstr(at, " at ")) != NULL; at += 1) {
        double seconds = strtod(at + strlen(" at "), NULL);
        if (seconds > 0) return (uint64_t)(seconds * 1e9);
    }
    return 0;
}

/* The last line, for the verdict; the first, for who asks why; the place, for the picture. */
static void keep_words(struct results *r, const char *path, const char *model, char why[WHY_BYTES])
{
    static char text[TEXT_BYTES_MAX];
    size_t used = strlen(r->checker);
    FILE *f = fopen(path, "r");
    if (f == NULL) return;
    size_t got = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[got] = '\0';
    while (got > 0 && text[got - 1] == '\n') text[--got] = '\0';
    const char *last = strrchr(text, '\n');
    const char *words = strstr(last != NULL ? last + 1 : text, ".jsonl: ");
    snprintf(r->checker + used, sizeof r->checker - used, "%s%.300s", used > 0 ? "; " : "",
             words != NULL ? words + strlen(".jsonl: ") : model);
    snprintf(why, WHY_BYTES, "%.*s", (int)strcspn(text, "\n"), text);
    if (r->violation_ns == 0) r->violation_ns = find_violation(text);
}

int judge_history(struct world *w, struct results *r)
{
    int verdict = RUN_GOOD;
    for (unsigned i = 0; w->plan->workload->models[i] != NULL; i++) {
        const char *model = w->plan->workload->models[i];
        char path[RUN_PATH_BYTES + 64], why[WHY_BYTES] = "";
        snprintf(path, sizeof path, "%s/check-%s.txt", w->plan->out, model);
        int code = run_check(w, model, path);
        keep_words(r, path, model, why);
        if (code == CHECK_FITS_NOT) {
            world_fail(w, "the history does not fit: check-%s.txt: %s", model, why);
        } else if (code == CHECK_UNDECIDED) {
            if (verdict == RUN_GOOD) verdict = RUN_UNDECIDED;
        } else if (code != CHECK_FITS) {
            verdict = RUN_IO; /* a history that cannot be read proves nothing */
        }
    }
    return w->failure_count > 0 ? RUN_VIOLATED : verdict;
}
