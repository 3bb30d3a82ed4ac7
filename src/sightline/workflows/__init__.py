"""What joins several parts: training, scoring, rendering, the demo, the public Python interface."""
