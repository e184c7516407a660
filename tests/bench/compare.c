/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare: how much longer one command takes than another, measured so that what else the machine
 * does meets both alike.
 *
 *     compare [-n ROUNDS] [-c] LABEL-A "COMMAND A" LABEL-B "COMMAND B"
 *
 * Runs A B A B ... ROUNDS times each, output and input on /dev/null, and prints the medians of wall
 * time and of processor time (user and system, children included) in milliseconds, the medians'
 * difference and their ratio, and the ratio's spread: the quartiles of A/B taken round by round.
 * A command is split at blanks; no shell stands between. -c: only "A_WALL A_CPU B_WALL B_CPU".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct times {
    double wall_ms, cpu_ms;
};

static double milliseconds(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct times run(char *const *words)
{
    struct rusage used;
    int status;
    double start = now_ms();
    pid_t pid = vfork();
    if (pid == 0) {
        execv(words[0], words);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &used) != pid) {
        perror("compare");
        exit(1);
    }
    double wall = now_ms() - start;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "compare: %s: failed\n", words[0]);
        exit(1);
    }
    return (struct times){wall, milliseconds(used.ru_utime) + milliseconds(used.ru_stime)};
}

static char **split(char *command)
{
    static const size_t most = 64;
    char **words = calloc(most + 1, sizeof *words);
    size_t count = 0;
    for (char *word = strtok(command, " "); words && word && count < most; word = strtok(NULL, " "))
        words[count++] = word;
    if (!words || count == 0) {
        fputs("compare: no command\n", stderr);
        exit(2);
    }
    return words;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which that part of the sorted values is. */
static double quantile(double *values, size_t count, double part)
{
    qsort(values, count, sizeof *values, ascending);
    return values[(size_t)((double)(count - 1) * part + 0.5)];
}

static void silence(void)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0) {
        perror("compare: /dev/null");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    size_t rounds = 51;
    bool plain = false;
    for (int option; (option = getopt(argc, argv, "n:c")) != -1;)
        if (option == 'n')
            rounds = strtoul(optarg, NULL, 10);
        else
            plain = true;
    if (argc - optind != 4 || rounds == 0) {
        fputs("usage: compare [-n ROUNDS] [-c] LABEL-A COMMAND-A LABEL-B COMMAND-B\n", stderr);
        return 2;
    }
    const char *labels[2] = {argv[optind], argv[optind + 2]};
    char **commands[2] = {split(argv[optind + 1]), split(argv[optind + 3])};
    double *wall[2], *cpu[2], *ratio = calloc(rounds, sizeof *ratio);
    for (int i = 0; i < 2; i++) {
        wall[i] = calloc(rounds, sizeof **wall);
        cpu[i] = calloc(rounds, sizeof **cpu);
        if (!wall[i] || !cpu[i] || !ratio)
            return 1;
    }
    silence();
    int out = dup(STDOUT_FILENO);
    if (out < 0 || dup2(STDIN_FILENO, STDOUT_FILENO) < 0)
        return 1;
    for (int i = 0; i < 2; i++)
        run(commands[i]); /* once for the caches */
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < 2; i++) {
            struct times t = run(commands[i]);
            wall[i][r] = t.wall_ms;
            cpu[i][r] = t.cpu_ms;
        }
        ratio[r] = wall[0][r] / wall[1][r];
    }
    double w[2], c[2];
    for (int i = 0; i < 2; i++) {
        w[i] = quantile(wall[i], rounds, 0.5);
        c[i] = quantile(cpu[i], rounds, 0.5);
    }
    if (plain) {
        dprintf(out, "%.3f %.3f %.3f %.3f\n", w[0], c[0], w[1], c[1]);
        return 0;
    }
    for (int i = 0; i < 2; i++)
        dprintf(out, "    %-44s %9.2f ms wall  %9.2f ms CPU\n", labels[i], w[i], c[i]);
    dprintf(out, "    difference %+.2f ms, ratio %.2f (middle half of the rounds: %.2f to %.2f)\n",
            w[0] - w[1], w[0] / w[1], quantile(ratio, rounds, 0.25), quantile(ratio, rounds, 0.75));
    return 0;
}
