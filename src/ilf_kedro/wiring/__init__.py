"""What ties the method to Kedro: hooks, configuration, parameters, trackers."""
