"""Pure arithmetic over samples: medians and their intervals, ratios, stability, accuracies, Pareto fronts."""
