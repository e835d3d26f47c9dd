/* Reads a recorded run: what was watched, and one event a line; says how far it could be explained. */
static int furthest = -1;

static void sight(void)
{
    FILE *file = fopen(getenv("TRACE"), "r");
    int value;
    if (!file) {
        perror("TRACE");
        exit(1);
    }
    for (int i = 0; i < NODES; i++) fscanf(file, "%d", &value), limit[i] = value;
    fscanf(file, "%d", &value), quitters = value;
    fscanf(file, "%d", &value), stoppers = value;
    for (int i = 0; i < 9; i++) fscanf(file, "%d", &value), watched[i] = value;
    for (length = 0; fscanf(file, "%d", &value) == 1; length++) {
        kind[length] = value;
        fscanf(file, "%d", &value), who[length] = value;
        fscanf(file, "%d", &value), what[length] = value;
        fscanf(file, "%d", &value), which[length] = value;
        fscanf(file, "%d", &value), many[length] = value;
        for (int i = 0; i < NODES; i++) fscanf(file, "%d", &value), ranks[length * NODES + i] = value;
    }
    fclose(file);
}

static void note(int at)
{
    if (at > furthest) printf("explained: %d\n", furthest = at);
}
