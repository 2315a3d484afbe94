"""Runs the test suite of the interface package."""

from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

from snakemake_logger_plugin_lkrun import LogHandler, LogHandlerSettings


class TestLkrun(TestLogHandlerBase):
    __test__ = True

    def get_log_handler_cls(self):
        return LogHandler

    def get_log_handler_settings(self):
        return LogHandlerSettings()
