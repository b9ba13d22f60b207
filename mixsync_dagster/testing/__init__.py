"""What users test their own adapters with: contract suites, simulators and a clock that never waits."""
