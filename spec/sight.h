/* Reads a recorded run: what is given of it as a whole, and one event a line; says how far it could be explained. */
static int furthest = -1;

static void sight(void)
{
    FILE *file = fopen(getenv("TRACE"), "r");
    int value;
    if (!file) {
        perror("TRACE");
        exit(1);
    }
    for (int i = 0; i < sizeof given; i++) fscanf(file, "%d", &value), given[i] = value;
    for (length = 0; fscanf(file, "%d", &value) == 1; length++) {
        if (length == sizeof kind) {
            fprintf(stderr, "TRACE: more than %d events\n", length);
            exit(1);
        }
        kind[length] = value;
        fscanf(file, "%d", &value), who[length] = value;
        fscanf(file, "%d", &value), what[length] = value;
        fscanf(file, "%d", &value), which[length] = value;
        fscanf(file, "%d", &value), many[length] = value;
        for (int i = 0; i < NODES; i++) fscanf(file, "%d", &value), of_each[length * NODES + i] = value;
    }
    fclose(file);
}

static void note(int at)
{
    if (at > furthest) printf("explained: %d\n", furthest = at);
}
