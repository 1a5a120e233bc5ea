#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 1024 };

static _Atomic int level_min = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&level_min, (int)level);
}

static int append(char *line, int used, const char *format, va_list args)
{
    int room = LINE_BYTES_MAX - 1 - used; /* one byte stays for the line's end */
    if (room <= 0) return used;
    int wrote = vsnprintf(line + used, (size_t)room, format, args);
    if (wrote < 0) return used;
    return used + (wrote < room ? wrote : room - 1);
}

static int append_text(char *line, int used, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    used = append(line, used, format, args);
    va_end(args);
    return used;
}

void log_line(enum log_level level, const char *message, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load(&level_min)) return;

    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char line[LINE_BYTES_MAX];
    int used = (int)strftime(line, sizeof line, "ts=%Y-%m-%dT%H:%M:%S", &utc);
    used = append_text(line, used, ".%03ldZ level=%s msg=\"%s\"", now.tv_nsec / 1000000,
                       names[level], message);
    if (format[0] != '\0') {
        used = append_text(line, used, " ");
        va_list args;
        va_start(args, format);
        used = append(line, used, format, args);
        va_end(args);
    }
    line[used++] = '\n';
    ssize_t put = write(STDERR_FILENO, line, (size_t)used);
    (void)put; /* nowhere left to complain */
}
