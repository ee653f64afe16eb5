"""Every server says how it is and what it serves."""

import grpc

from pitline.ems.v1.market_data_service_pb2 import SignalsRequest
from support.dialog import refused
from support.health import health, reflected_services
from support.stack import PaperStack

COMMON = ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]
EMS = ["pitline.ems.v1.AdminService", "pitline.ems.v1.MarketDataService", "pitline.ems.v1.TradingService"]
PAPER = ["pitline.broker.v1.BrokerService", "pitline.paper.v1.ScriptService"]


async def test_servers_and_their_services_are_healthy(on_paper: PaperStack) -> None:
    for address, services in ((on_paper.ems.address, EMS), (on_paper.paper.address, PAPER)):
        for service in ("", *services):
            assert await health(address, service) == "SERVING"


async def test_servers_list_their_services_by_reflection(on_paper: PaperStack) -> None:
    assert await reflected_services(on_paper.ems.address) == [*COMMON, *EMS]
    assert await reflected_services(on_paper.paper.address) == [*COMMON, *PAPER]


async def test_a_method_that_comes_later_is_unimplemented(on_paper: PaperStack) -> None:
    refusal = await refused(anext(aiter(on_paper.desk.market.Signals(SignalsRequest()))))
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
