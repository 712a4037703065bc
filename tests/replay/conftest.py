from tests.demo_host import host

__all__ = ["host"]
