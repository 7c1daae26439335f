"""The parts of a run on their own: settings, neighbours, the hold on a job, verdicts."""
