/* Assertions that stay on in release. An assertion guards what only a programmer's error can
 * break; what a peer, a client, a disk or a user controls is a status, never an assertion.
 * A failed one prints where and what, then aborts: a lock server that has lost its bearings must
 * stop (the others carry on) rather than answer. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

/** Print the failed claim and abort. Does not return; any thread.
 * \param file  borrowed; \param line  1-based; \param func  borrowed; \param claim  borrowed. */
_Noreturn void hf_assert_fail(const char *file, int line, const char *func, const char *claim);

#define HF_ASSERT(claim)                                                    \
    do {                                                                    \
        if (!(claim)) hf_assert_fail(__FILE__, __LINE__, __func__, #claim); \
    } while (0)

/** A branch that no input may reach. */
#define HF_UNREACHABLE() hf_assert_fail(__FILE__, __LINE__, __func__, "unreachable")

/** The struct that holds `member` at address `ptr`. */
#define HF_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/** A result that must not be dropped. */
#define HF_MUST_USE __attribute__((warn_unused_result))

#define HF_ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
